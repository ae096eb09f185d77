"""The report speaks of a decision only while it is about the model that the pipeline holds."""

import json
from types import SimpleNamespace

from naslora_core.files import file_sha256
from stages.paths import StagePaths
from stages.report import _service


def test_a_decision_about_other_weights_is_left_out(tmp_path):
    paths = StagePaths(tmp_path)
    weights = paths.output("merge", "leaves") / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"new")
    note = paths.decision("leaves")
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"weights_sha256": file_sha256(weights), "decision": "kept"}))
    params = SimpleNamespace(domains=("leaves", "roads"))
    assert {name: found["decision"] for name, found in _service(paths, params).items()} == {"leaves": "kept"}
    assert _service(StagePaths(tmp_path, "trial"), params) == {}
    weights.write_bytes(b"newer")
    assert _service(paths, params) == {}
