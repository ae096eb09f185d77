"""The project as it was at an earlier commit, in a folder of its own."""

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The last commit before the work on speed.
BEFORE = "a2beb0d63290e66b50ea74593ceac9ddbfee20d9"


def unpack(revision: str, folder: Path) -> Path:
    """Unpack a commit of this repository into `folder`, and return that.

    Exits with a line of explanation where git does not know the commit.
    """
    done = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: --before {revision}: {done.stderr.decode().strip()}; name a commit of a full clone's history")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
