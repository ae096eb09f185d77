#!/bin/sh
# onnxruntime's quantize_dynamic turns ONNX's own Attention (opset 23) into a QAttention that does not load.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1 numpy==2.3.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 8, 16]) for name in "qkvy"]
graph = helper.make_graph([helper.make_node("Attention", ["q", "k", "v"], ["y"])], "g", ends[:3], ends[3:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "attention.onnx")
values = np.ones((1, 2, 8, 16), np.float32)
onnxruntime.InferenceSession("attention.onnx").run(None, dict.fromkeys("qkv", values))
print("written: one Attention of opset 23, of q, k and v; valid, and runs")
quantize_dynamic("attention.onnx", "int8.onnx")
operators = [f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in onnx.load("int8.onnx").graph.node]
print(f"quantize_dynamic wrote: {', '.join(operators)}")
try:
    onnxruntime.InferenceSession("int8.onnx")
    outcome = "it loads"
except Exception as error:
    outcome = f"{type(error).__name__}: {error}"
print(f"loading that: {outcome[:200]}")
as_described = "com.microsoft.QAttention" in operators and "INVALID_GRAPH" in outcome
print("as described: taken for onnxruntime's own operator of that name" if as_described else "changed")
sys.exit(not as_described)
PYTHON
