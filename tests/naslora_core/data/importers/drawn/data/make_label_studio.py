"""Write label_studio/ with a running server of Label Studio; no test runs it.

In an environment with label-studio and pycocotools, on a machine of its own:
    label-studio start --username a@example.org --password PASSWORD --user-token TOKEN
with LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true; then python make_label_studio.py http://localhost:8080 TOKEN
"""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import make
import numpy as np
import requests
from label_studio_sdk.converter import brush
from PIL import Image
from pycocotools import mask as coco_mask

TARGET = Path(__file__).parent / "label_studio"
LABELS = '<Label value="leaf"/><Label value="spot"/>'
CONFIG = f"""<View><Image name="image" value="$image"/>
<PolygonLabels name="label" toName="image">{LABELS}</PolygonLabels>
<BrushLabels name="tag" toName="image">{LABELS}</BrushLabels></View>"""


def regions(objects, as_brush):
    for number, (label, shape, _) in enumerate(objects):
        common = {"id": f"r{number}", "to_name": "image", "original_width": make.WIDTH, "original_height": make.HEIGHT,
                  "image_rotation": 0}  # fmt: skip
        if as_brush:
            rle = brush.mask2rle(shape.astype(np.uint8) * 255)
            value = {"format": "rle", "rle": rle, "brushlabels": [label]}
            yield common | {"from_name": "tag", "type": "brushlabels", "value": value}
        else:
            points = [[x / make.WIDTH * 100, y / make.HEIGHT * 100] for x, y in shape]
            value = {"points": points, "closed": True, "polygonlabels": [label]}
            yield common | {"from_name": "label", "type": "polygonlabels", "value": value}


class Server:
    def __init__(self, address, token):
        self.address, self.headers = address, {"Authorization": f"Token {token}"}

    def post(self, path, **options):
        answer = requests.post(f"{self.address}/api/{path}", headers=self.headers, timeout=60, **options)
        answer.raise_for_status()
        return answer.json()

    def get(self, path):
        answer = requests.get(f"{self.address}/api/{path}", headers=self.headers, timeout=60)
        answer.raise_for_status()
        return answer

    def fill(self, drawn, as_brush):
        project = self.post("projects/", json={"title": str(as_brush), "label_config": CONFIG})["id"]
        for name in drawn:
            stream = io.BytesIO()
            Image.new("L", (make.WIDTH, make.HEIGHT), 128).save(stream, "PNG")
            self.post(f"projects/{project}/import", files={"file": (f"{name}.png", stream.getvalue(), "image/png")})
        for task in self.get(f"tasks?project={project}&page_size=100&fields=all").json()["tasks"]:
            name = task["data"]["image"].split("-", 1)[1].removesuffix(".png")
            result = list(regions(drawn[name], as_brush))
            annotations = [{"result": result}]
            if name == "square" and not as_brush:
                annotations.append({"result": result[:1], "was_cancelled": True})
            if name == "disc" and not as_brush:
                turned = [one | {"image_rotation": 90} for one in result]
                annotations += [{"result": turned, "ground_truth": True}, {"result": []}]
            for annotation in annotations:
                self.post(f"tasks/{task['id']}/annotations/", json=annotation)
        return project

    def export(self, project, kind):
        return self.get(f"projects/{project}/export?exportType={kind}&download_all_tasks=true").content


def store(content, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json.loads(content), separators=(",", ":")))


def masks_of_coco(archive):
    """Class ids of the COCO export, which has no order but that of its list."""
    content = json.loads(zipfile.ZipFile(io.BytesIO(archive)).read("result.json"))
    masks = {name: np.zeros((make.HEIGHT, make.WIDTH), np.uint8) for name in make.CASES}
    names = {image["id"]: image["file_name"].split("-")[-1].removesuffix(".png") for image in content["images"]}
    for entry in content["annotations"]:
        runs = coco_mask.frPyObjects(entry["segmentation"], make.HEIGHT, make.WIDTH)
        label = {one["id"]: one["name"] for one in content["categories"]}[entry["category_id"]]
        masks[names[entry["image_id"]]][coco_mask.decode(runs)[..., 0] > 0] = 1 + [make.LEAF, make.SPOT].index(label)
    return masks


def masks_of_brushes(tasks):
    """Class ids of the strokes as the converter decodes them."""
    masks = {}
    for task in tasks:
        ids = np.zeros((make.HEIGHT, make.WIDTH), np.uint8)
        for region in task["annotations"][0]["result"]:
            alpha = brush.decode_rle(region["value"]["rle"]).reshape(make.HEIGHT, make.WIDTH, 4)[..., 3]
            ids[alpha > 0] = 1 + [make.LEAF, make.SPOT].index(region["value"]["brushlabels"][0])
        masks[task["file_upload"].split("-", 1)[1].removesuffix(".png")] = ids
    return masks


def main():
    server = Server(*sys.argv[1:])
    shutil.rmtree(TARGET, ignore_errors=True)
    project = server.fill(make.CASES, as_brush=False)
    store(server.export(project, "JSON"), TARGET / "polygons" / "project.json")
    make.stack(masks_of_coco(server.export(project, "COCO")), TARGET / "polygons" / "masks.tool")
    project = server.fill(make.grids(), as_brush=True)
    content = server.export(project, "JSON")
    masks = masks_of_brushes(json.loads(content))
    store(content, TARGET / "brushes" / "project.json")
    make.stack(masks, TARGET / "brushes" / "masks.tool")
    store(server.export(project, "JSON_MIN"), TARGET / "brush_png" / "project-min.json")
    zipfile.ZipFile(io.BytesIO(server.export(project, "BRUSH_TO_PNG"))).extractall(TARGET / "brush_png" / "masks")
    make.stack(masks, TARGET / "brush_png" / "masks.tool")


if __name__ == "__main__":
    main()
