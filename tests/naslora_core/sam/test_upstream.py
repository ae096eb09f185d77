"""segment-anything's modules without its predictor, and the whole package for whoever wants it."""

import subprocess
import sys

import pytest

WITHOUT = "; assert not {'segment_anything.predictor', 'torchvision'} & set(sys.modules)"
OURS = "from naslora_core.sam.upstream import Sam"
THEIRS = "from segment_anything import SamPredictor, sam_model_registry; SamPredictor.set_image"
SAME = "from segment_anything.modeling import Sam as theirs; assert theirs is Sam"


@pytest.mark.parametrize(
    "code",
    [
        f"{OURS}{WITHOUT}; {SAME}{WITHOUT}",
        f"{OURS}{WITHOUT}; {THEIRS}; {SAME}",
        f"{THEIRS}; {OURS}; {SAME}",
        f"{OURS}; import segment_anything as s; assert s.modeling.Sam is Sam; s.SamPredictor.set_image; {SAME}",
        f"{OURS}; from segment_anything import *; build_sam_vit_b; assert modeling.Sam is Sam",
        f"{OURS}; from segment_anything.predictor import SamPredictor; {THEIRS}; {SAME}",
        "import stages.merge, stages.search_train, pipelines.predict.run" + WITHOUT,
    ],
)
def test_the_package_is_whole_in_whatever_order_it_is_imported(code):
    done = subprocess.run([sys.executable, "-c", f"import sys; {code}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_the_package_lacks_is_told_as_python_does():
    code = f"{OURS}; import segment_anything; segment_anything.SamPredictro"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AttributeError: module 'segment_anything' has no attribute 'SamPredictro'" in done.stderr
