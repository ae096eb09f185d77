"""Stage preprocess: images at the size the model is configured for."""

import json
from pathlib import Path

from naslora_core.config import load_params
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.progress import silent
from stages import preprocess
from stages.paths import StagePaths

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_images_are_prepared_at_the_configured_size(tmp_path):
    paths = StagePaths(tmp_path)
    generate_domain("leaf_lesions", paths.data("leaf_lesions"), count=6, seed=1)
    cleared = paths.output("validate", "leaf_lesions") / "clearance.json"
    cleared.parent.mkdir(parents=True)
    sha256 = fingerprint(read_dataset(paths.data("leaf_lesions")))
    cleared.write_text(json.dumps({"passed": True, "dataset_sha256": sha256}))
    for setting, side in (("native", 256), (96, 96)):
        params = load_params(PARAMS, [f"model.image_size={setting}"])
        preprocess.main("leaf_lesions", params, paths, silent)
        prepared = load_prepared(paths.output("preprocess", "leaf_lesions"), "train")
        assert prepared.images.shape[1:] == (side, side, 3)
        assert {max(size) for size in prepared.input_sizes} == {side}
