"""The project as it was at an earlier commit, in a folder of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The last commit before the work on speed.
BEFORE = "a2beb0d63290e66b50ea74593ceac9ddbfee20d9"


def unpack(revision: str, folder: Path) -> Path:
    """Check a commit of this repository out into `folder`, and return that.

    Exits with a line of explanation where git does not know the commit.
    """
    for words in (["clone", "--quiet", "--no-checkout", str(ROOT), str(folder)], ["checkout", "--quiet", revision]):
        where = ROOT if words[0] == "clone" else folder
        done = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"error: --before {revision}: {done.stderr.strip()}; name a commit of a full clone's history")
    return folder
