"""A package whose `__init__` is put off is whole for whoever imports it, in whatever order."""

import subprocess
import sys
from pathlib import Path

import pytest

# What stands for a slow library is imported by the package, and not by the module that is wanted.
SLOW, DEFER = "'colorsys' in sys.modules", "from naslora_core.deferred import defer_package; defer_package('parcel')"
WANTED = "from parcel.wanted import value; assert value == 1"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "parcel").mkdir()
    (tmp_path / "parcel" / "__init__.py").write_text(
        "import colorsys\nfrom parcel.wanted import value\nname = 'whole'\n"
    )
    (tmp_path / "parcel" / "wanted.py").write_text("value = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    "code",
    [
        f"{DEFER}; {WANTED}; assert not {SLOW}",
        f"{DEFER}; {WANTED}; from parcel import name; assert name == 'whole' and {SLOW}",
        f"{DEFER}; import parcel; assert not {SLOW}; assert parcel.name == 'whole'; {WANTED}",
        f"{DEFER}; from parcel import *; assert name == 'whole'; {WANTED}",
        f"import parcel; {DEFER}; assert parcel.name == 'whole'; {WANTED}",
        f"{DEFER.replace('parcel', 'absent')}; assert 'absent' not in sys.modules",
        "import naslora_core.evaluation.metrics.saliency; assert 'sklearn' not in sys.modules; import py_sod_metrics; "
        "py_sod_metrics.MSIoU; assert py_sod_metrics.Smeasure is naslora_core.evaluation.metrics.saliency.Smeasure",
    ],
)
def test_a_deferred_package_is_whole_in_whatever_order_it_is_imported(site: Path, code: str) -> None:
    program = f"import sys; sys.path.append({str(site)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_the_package_lacks_is_told_as_python_does(site: Path) -> None:
    program = f"import sys; sys.path.append({str(site)!r}); {DEFER}; import parcel; parcel.nmae"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "AttributeError: module 'parcel' has no attribute 'nmae'" in done.stderr
