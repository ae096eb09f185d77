#!/bin/sh
# onnxruntime's quantize_dynamic fails on a valid file that states the shape of a transposed Gemm weight.
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
weight = numpy_helper.from_array(np.ones((4, 32), np.float32), "w")
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", size]) for name, size in (("x", 32), ("y", 4))]
stated = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 32])
node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
found = {}
for label, shapes in (("without value_info", []), ("with the weight's value_info, as torch.onnx.export writes it", [stated])):
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weight], value_info=shapes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.save(model, "gemm.onnx")
    onnxruntime.InferenceSession("gemm.onnx").run(None, {"x": np.ones((2, 32), np.float32)})
    try:
        quantize_dynamic("gemm.onnx", "int8.onnx")
        found[label] = "quantised"
    except Exception as error:
        found[label] = f"{type(error).__name__}: {error}"
    print(f"a Gemm of x (b, 32) with w (4, 32) transposed, {label}; valid, and runs; quantize_dynamic: {found[label]}")
first, second = found.values()
as_described = first == "quantised" and "Inferred shape and existing shape differ" in second
print("as described: the weight is transposed, and its stated shape is not" if as_described else "changed")
sys.exit(not as_described)
PYTHON
