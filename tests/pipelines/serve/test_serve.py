"""`naslora serve`: a real server on loopback, over a project of two models with random weights."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import torch
import uvicorn
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from PIL import Image

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import CONFIG_FILE, save_adapted
from naslora_core.config import load_params
from naslora_core.errors import ConfigError
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.inference import Inference
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights
from pipelines.cli import app as cli
from pipelines.cli.serve import _host_rule, _listen
from pipelines.serve.app import Settings, create_app
from pipelines.serve.guard import HostRule
from pipelines.serve.model_cache import ModelCache
from pipelines.serve.offers import find_offers

PARAMS_FILE = Path(__file__).parents[3] / "params.yaml"
PARAMS = load_params(PARAMS_FILE)
MAX_UPLOAD_BYTES = 400_000
ROADS = MaskHead(2, "half", 4.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The base, and two domains before merging and in service; roads sees parts of images and refines its masks."""
    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(PARAMS_FILE, root / "params.yaml")
    (root / "dvc.yaml").touch()
    torch.manual_seed(1)
    save_weights(root / "base.safetensors", build_sam("sam_tiny").state_dict(), {})
    model = base_of(root)
    for seed, (domain, head) in enumerate({"roads": ROADS, "leaves": MaskHead()}.items(), start=2):
        torch.manual_seed(seed)
        sam = load_base(model)
        set_head(sam, head)
        adapter = PARAMS.adapter.model_copy(update={"method": "lora"})
        layers = add_adapters(sam, adapter, PARAMS.search, seed)
        for layer in layers.values():
            torch.nn.init.normal_(layer.lora_B, std=0.05)
        trained, served = root / "artifacts/search_train" / domain, root / "serving" / domain
        for folder in (trained, served):
            folder.mkdir(parents=True)
        save_adapted(trained, PromptFreeSegmenter(sam), layers, model, adapter, PARAMS.search, seed)
        save_merged(served, exact(sam), "sam_tiny", "exact", json.loads((trained / CONFIG_FILE).read_text()))
    return root


def base_of(root):
    return PARAMS.model.model_copy(update={"checkpoint": root / "base.safetensors", "precision": "fp32"})


@contextmanager
def serving(root, **changes):
    """Run a server in a thread, and yield a client of it."""
    model = base_of(root)
    settings = {"max_upload_bytes": MAX_UPLOAD_BYTES, "queue": 32, "models_in_memory": 2} | changes
    app = create_app(Settings(root=root, model=model, threshold=0.5, rule=HostRule(), **settings))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
    listening = _listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        limits = httpx.Limits(max_connections=40)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=address, timeout=120, limits=limits) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def client(root):
    with serving(root) as client:
        yield client


def scene(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 90, size=(50 + seed, 90, 3))
    image[10:40, 20 + seed : 50 + seed] += 140
    return image.astype(np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def ask(client, content, model="leaves", **fields):
    return client.post("/api/predict", files={"image": ("x.png", content)}, data={"model": model, **fields})


def error_of(response, status):
    assert response.status_code == status, response.text
    assert response.json().keys() == {"error"}
    assert "Traceback" not in response.text
    return response.json()["error"]


def test_the_models_are_those_in_service_the_base_and_what_was_trained(client):
    models = client.get("/api/models").json()["models"]
    names = [model["name"] for model in models]
    trained = [f"artifacts/search_train/{domain}" for domain in ("leaves", "roads")]
    assert names == ["leaves", "roads", "base", *trained]
    heads = {model["name"]: (model["classes"], model["detail"], model["scale"]) for model in models}
    whole = (1, "off", None)
    assert [heads[name] for name in names] == [whole, (2, "half", 4.0), whole, whole, (2, "half", 4.0)]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_twenty_parallel_uploads_for_five_models_are_all_answered_as_predictor_would(client, root, monkeypatch):
    # A file that left memory would have to go here.
    monkeypatch.setattr(tempfile, "tempdir", str(root / "nowhere"))
    model = base_of(root)
    direct = {
        "leaves": Predictor.merged(root / "serving/leaves", "fp32"),
        "roads": Predictor.merged(root / "serving/roads", "fp32"),
        "base": Predictor.base(model),
        "artifacts/search_train/leaves": Predictor.adapted(root / "artifacts/search_train/leaves", model),
        "artifacts/search_train/roads": Predictor.adapted(root / "artifacts/search_train/roads", model),
    }
    jobs = [(name, seed) for seed in range(4) for name in direct]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda job: ask(client, png(scene(job[1])), job[0], output="probability"), jobs))
    assert [answer.status_code for answer in answers] == [200] * 20
    found = [np.load(io.BytesIO(answer.content), allow_pickle=False) for answer in answers]
    assert {probability.ndim for probability in found} == {2, 3}
    for (name, seed), probability in zip(jobs, found, strict=True):
        np.testing.assert_allclose(probability, direct[name]([scene(seed)])[0], atol=1e-5)
    assert not np.allclose(found[0], found[2], atol=0.001)


def test_mask_overlay_and_json_tell_the_same(client):
    image = scene(3)
    probability = np.load(io.BytesIO(ask(client, png(image), output="probability").content))
    threshold = float(np.median(probability))
    answers = {kind: ask(client, png(image), output=kind, threshold=threshold) for kind in ("mask", "overlay", "json")}
    mask = np.asarray(Image.open(io.BytesIO(answers["mask"].content)))
    np.testing.assert_array_equal(mask, np.where(probability > threshold, 255, 0))
    overlay = np.asarray(Image.open(io.BytesIO(answers["overlay"].content)))
    np.testing.assert_array_equal(overlay[mask == 0], image[mask == 0])
    about = answers["json"].json()
    assert (about["width"], about["height"]) == (90, 53)
    assert about["precision"] == "float32"
    assert about["classes"] == [{
        "id": 1, "share": pytest.approx((mask > 0).mean(), abs=1e-6), "area_px": int((mask > 0).sum()),
        "score": pytest.approx(probability[mask > 0].mean(), abs=1e-5), "colour": "#ffb000",
    }]  # fmt: skip


def test_masks_of_several_classes_come_as_plain_ids_for_opencv(client):
    content = png(scene(2))
    coloured, plain = (
        Image.open(io.BytesIO(ask(client, content, "roads", mask_palette=palette).content))
        for palette in ("classes", "none")
    )
    assert (coloured.mode, plain.mode) == ("P", "L")
    ids = cv2.imdecode(
        np.frombuffer(ask(client, content, "roads", mask_palette="none").content, np.uint8), cv2.IMREAD_UNCHANGED
    )
    np.testing.assert_array_equal(ids, np.asarray(coloured))
    assert len(np.unique(ids)) > 1
    about = ask(client, content, "roads", output="json").json()
    assert [one["area_px"] for one in about["classes"]] == [int((ids == number).sum()) for number in (1, 2)]
    assert [one["score"] is None for one in about["classes"]] == [not (ids == number).any() for number in (1, 2)]
    assert "unknown mask_palette 'gray'" in error_of(ask(client, content, mask_palette="gray"), 400)


def test_a_gigabyte_is_refused_on_the_way_whether_announced_or_not(client):
    sent = 0

    def form():
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n'
        for _ in range(1000):
            sent += 1_000_000
            yield bytes(1_000_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    began = time.monotonic()
    assert "more than 0.4 MB" in error_of(client.post("/api/predict", content=form(), headers=headers), 413)
    # What the two ends of a connection buffer between them.
    assert sent < 50_000_000
    sent = 0
    announced = headers | {"Content-Length": str(1_000_000_200)}
    assert "more than 0.4 MB" in error_of(client.post("/api/predict", content=form(), headers=announced), 413)
    assert sent < 50_000_000
    assert time.monotonic() - began < 30
    assert ask(client, png(scene(0))).status_code == 200


def test_what_is_no_image_is_refused_in_words(client):
    whole = png(np.random.default_rng(1).integers(0, 255, (80, 80, 3)).astype(np.uint8))
    assert "is no BMP, JPEG, PNG, TIFF or WEBP file" in error_of(ask(client, b"dear diary"), 415)
    assert "cannot be read" in error_of(ask(client, whole[:3000]), 400)
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, format="PNG")
    assert "exceeds limit" in error_of(ask(client, bomb.getvalue()), 400)


def test_mistakes_are_answered_in_words(client):
    image = png(scene(0))
    assert "unknown model 'weeds'; known: leaves, roads, base" in error_of(ask(client, image, "weeds"), 404)
    assert "unknown model '../serving/leaves'" in error_of(ask(client, image, "../serving/leaves"), 404)
    assert "unknown output 'video'; known: mask, overlay" in error_of(ask(client, image, output="video"), 400)
    assert "a number from 0 to 1" in error_of(ask(client, image, threshold="nan"), 400)
    assert "no file 'image'" in error_of(client.post("/api/predict", files={"photo": ("x", image)}), 400)
    assert "send multipart/form-data" in error_of(client.post("/api/predict", json={}), 415)
    assert "/api/predict" in error_of(client.get("/docs"), 404)
    assert "Method Not Allowed" in error_of(client.get("/api/predict"), 405)


def test_a_model_that_cannot_be_loaded_is_an_answer_without_paths(client, root):
    broken = root / "serving/broken"
    shutil.copytree(root / "serving/leaves", broken)
    (broken / "model.json").write_text("{")
    try:
        offered = {model["name"]: model for model in client.get("/api/models").json()["models"]}
        assert offered["broken"].keys() == {"name", "title"}
        message = error_of(ask(client, png(scene(0)), "broken"), 500)
    finally:
        shutil.rmtree(broken)
    assert "cannot be loaded" in message
    assert str(root) not in message


def test_a_full_line_says_when_to_come_again(root):
    with serving(root, queue=1) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: ask(client, png(scene(seed))), range(8)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 1 <= len(refused) < 8
    for answer in refused:
        assert "come again" in error_of(answer, 503)
        assert int(answer.headers["Retry-After"]) >= 1


def test_a_query_chooses_no_file_and_changes_no_page(client, root):
    for address in ("/", "/page.js"):
        plain = client.get(address).content
        for name in ("name", "path", "file", "answer"):
            for value in (str(root / "params.yaml"), "../app.py", "<script>"):
                assert client.get(address, params={name: value}).content == plain


def test_a_server_asked_for_the_models_own_threshold_takes_it_from_merged_ones(root, tmp_path):
    served = tmp_path / "serving" / "leaves"
    shutil.copytree(root / "serving" / "leaves", served)
    notes = json.loads((served / "model.json").read_text())
    (served / "model.json").write_text(json.dumps(notes | {"threshold": 0.35}))
    offers = find_offers(tmp_path, base_of(root))
    assert [offers[name].threshold("auto") for name in ("leaves", "base")] == [0.35, 0.5]
    assert [offers[name].threshold(0.7) for name in ("leaves", "base")] == [0.7, 0.7]
    model = base_of(root)
    limits = {"max_upload_bytes": MAX_UPLOAD_BYTES, "queue": 2, "models_in_memory": 1}
    flipped = Inference("all")
    app = create_app(Settings(tmp_path, model, "auto", HostRule(), **limits, inference=flipped))
    image = scene(3)
    with TestClient(app, base_url="http://localhost") as client:
        own, given = (ask(client, png(image), output="json", **fields).json() for fields in ({}, {"threshold": 1}))
        assert (own["threshold"], given["threshold"]) == (0.35, 1)
        mask = np.asarray(Image.open(io.BytesIO(ask(client, png(image)).content)))
    probability = Predictor.merged(served, "fp32", inference=flipped)([image])[0]
    assert (mask > 0).mean() == (probability > 0.35).mean()


def test_no_address_has_parameters_that_nobody_meant(root):
    app = create_app(Settings(root, base_of(root), 0.5, HostRule(), max_upload_bytes=1, queue=1, models_in_memory=1))
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes} == {"/healthz", "/api/models", "/api/predict"}
    for route in routes:
        known = route.dependant
        assert not known.query_params + known.path_params + known.header_params + known.cookie_params
        assert not known.body_params


def test_every_answer_has_security_headers_and_none_invites_other_origins(client):
    for answer in (client.get("/"), client.get("/nowhere"), client.get("/", headers={"Host": "evil.example"})):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_other_names_and_other_pages_are_refused(client):
    assert "is not called 'evil.example:80'" in error_of(client.get("/", headers={"Host": "evil.example:80"}), 421)
    assert client.get("/healthz", headers={"Host": "[::1]:8000"}).status_code == 200
    for origin in ("http://evil.example", "null", "http://["):
        answer = client.post("/api/predict", headers={"Origin": origin})
        assert "other pages may not" in error_of(answer, 403)
    own = str(client.base_url).rstrip("/")
    assert client.post("/api/predict", headers={"Origin": own}).status_code == 415


def test_a_server_for_other_machines_warns_and_takes_addresses_but_no_strange_names(capsys):
    rule = _host_rule("0.0.0.0", ["Lab.example"])
    assert "no login and no encryption" in capsys.readouterr().err
    assert all(rule.allows(host) for host in ("192.0.2.7:8000", "[2001:db8::1]", "lab.example", "localhost"))
    assert not rule.allows("evil.example")
    assert not HostRule().allows("192.0.2.7")
    assert not HostRule().allows("[")


@pytest.mark.parametrize("package", ["python_multipart", "uvicorn"])
def test_without_the_extra_the_command_says_what_to_install(monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "argv", ["naslora", "serve"])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert (
        capsys.readouterr().err == f"error: naslora serve needs {package}; install with: pip install 'naslora[serve]'\n"
    )


def test_a_port_that_is_taken_is_one_message():
    with _listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="choose another --port"):
        _listen("127.0.0.1", taken.getsockname()[1])


def test_the_command_says_where_it_is_and_ends_with_ctrl_c_without_a_trace(root):
    command = [sys.executable, "-u", "-c", "from pipelines.cli.app import main; main()", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(PARAMS_FILE.parent)},
    ) as server:  # fmt: skip
        trained = "artifacts/search_train/leaves, artifacts/search_train/roads"
        assert server.stdout.readline() == f"Models: leaves, roads, {trained}\n"
        address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
        assert httpx.get(f"{address}/healthz", timeout=60).status_code == 200
        server.send_signal(signal.SIGINT)
        assert server.communicate(timeout=60) == ("stopped\n", "")
    assert server.returncode == 0


def test_models_leave_memory_for_others_and_a_new_version_takes_the_place_of_the_old(root, tmp_path):
    shutil.copytree(root, tmp_path / "project")
    model = base_of(tmp_path / "project")
    cache, offers = ModelCache(model, limit=1), find_offers(tmp_path / "project", model)
    image = scene(1)

    def answer(name):
        with cache.predictor(offers[name]) as predictor:
            return predictor([image])[0]

    first = answer("leaves")
    answer("roads")
    assert len(cache._whole) == 1
    base, trained = answer("base"), answer("artifacts/search_train/leaves")
    answer("artifacts/search_train/roads")
    assert len(cache._adapters) == len(cache._shared.adapter_names) == 1
    np.testing.assert_array_equal(answer("base"), base)
    np.testing.assert_array_equal(answer("artifacts/search_train/leaves"), trained)
    np.testing.assert_array_equal(answer("leaves"), first)
    served = tmp_path / "project/serving"
    shutil.rmtree(served / "leaves")
    (served / "roads").rename(served / "leaves")
    assert answer("leaves").ndim == 3


def test_the_page_fills_itself_and_reports_no_error_in_a_browser(client, root, tmp_path):
    if (browser := shutil.which("chromium") or shutil.which("google-chrome")) is None:
        pytest.skip("no chromium on this machine")
    run = root / "runs" / "\"'<img src=x onerror=document.title=1>"
    trained = run / "search_train" / "leaves"
    shutil.copytree(root / "artifacts/search_train/leaves", trained)
    try:
        ran = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom",
             "--enable-logging=stderr", "--virtual-time-budget=4000", str(client.base_url)],
            capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
    finally:
        shutil.rmtree(run)
    assert "CONSOLE" not in ran.stderr
    assert '<option value="artifacts/search_train/roads">roads, before merging</option>' in ran.stdout
    assert "up to 0.4 MB" in ran.stdout
    assert "run \"'&lt;img src=x onerror=document.title=1&gt;, before merging</option>" in ran.stdout
    assert "<title>naslora</title>" in ran.stdout


def test_the_page_asks_no_other_machine(client):
    for address in ("/", "/page.js", "/page.css"):
        text = client.get(address).text
        assert len(text) > 1000
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text
