"""Export a trained adapter as a folder, without the base model and the pipeline's other files."""

import shutil
from pathlib import Path

from naslora_core.adapted.saved import FILES, read_adapter_config
from naslora_core.errors import CheckpointError
from naslora_core.export.usage import as_comment, describe_tiling, in_python
from naslora_core.files import atomic_directory

_IMPORTS = """\
from pathlib import Path
from naslora_core.adapted.saved import load_adapted
from naslora_core.config import load_params
params = load_params(Path("params.yaml"))  # of the project, from whose folder this runs
"""
# It cuts images and blends by itself.
_PREDICTOR = """
from naslora_core.predict import Predictor
predict = Predictor(segmenter.sam, params.model.precision)"""


def export_adapter_folder(trained: Path, output: Path) -> str:
    """Copy the adapter, the mask decoder and their description into a folder of their own, atomically.

    Args:
        trained: what stage search_train wrote.
        output: the folder; replaced if it exists.

    Returns:
        The lines of Python that load it onto the model of params.yaml, run from the folder of that file.

    Raises:
        CheckpointError: if files are missing or of another version.
    """
    notes = read_adapter_config(trained)
    if missing := [name for name in FILES if not (trained / name).is_file()]:
        raise CheckpointError(f"{trained} has no {', '.join(missing)}; run stage search-train")
    with atomic_directory(output) as folder:
        for name in FILES:
            shutil.copyfile(trained / name, folder / name)
    remark = "" if notes.scale is None else as_comment(f"It was {describe_tiling(notes.base.image_size, notes.scale)}")
    return f"{remark}{_IMPORTS}segmenter, adapters = load_adapted(Path({in_python(output)}), params.model)" + (
        "" if notes.scale is None else _PREDICTOR
    )
