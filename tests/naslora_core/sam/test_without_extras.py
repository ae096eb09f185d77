"""Without the extra hf all of SAM works, and the other families say what to install."""

import json
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import json, sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
from naslora_core.config import ModelConfig
from naslora_core.errors import ConfigError
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base

sam = load_base(ModelConfig(name="sam_tiny", checkpoint=Path(sys.argv[1]), image_size="native", precision="fp32"))
said = {"sam_tiny": len(sam.state_dict())}
for name in ("mobile_sam_mini", "sam2_mini", "sam3_mini"):
    try:
        build_sam(name)
    except ConfigError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def test_a_family_whose_package_is_absent_says_what_to_install(base_file: Path) -> None:
    command = [sys.executable, "-c", _SCRIPT, str(base_file), "timm,transformers"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(found.stdout)
    assert said.pop("sam_tiny") > 200
    assert set(said) == {"mobile_sam_mini", "sam2_mini", "sam3_mini"}
    assert all("pip install 'naslora[hf]'" in message for message in said.values())
