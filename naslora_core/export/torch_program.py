"""Export a merged model as a torch ExportedProgram: a .pt2 file for torch.export.load."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from naslora_core.export.graph import INPUT, OUTPUTS, TRACED_BATCH, Exported, Source, largest_difference, read_source
from naslora_core.export.usage import graph_lines, in_python
from naslora_core.files import atomic_file

ABOUT_FILE = "naslora.json"
_OPEN = """import torch
program = torch.export.load({output}).module()
"""
_LINES = """images = torch.zeros(1, 3, {size}, {size}, dtype=torch.uint8)  # RGB
low_res_masks, probabilities = program(images)"""
# Of a model of crops.
_CALL = "program(torch.from_numpy(np.array(square).transpose(2, 0, 1)[None]))[0][0].detach().numpy()"


def export_torch_program(merged: Path, output: Path) -> Exported:
    """Write a merged model as an ExportedProgram with a dynamic batch size, atomically, and check its logits.

    Nothing in the file is pickled. `torch.export.load` would unpickle what a file declares as such all the same, so
    that only files one trusts are to be loaded.

    Args:
        merged: what stage merge wrote.
        output: the file; replaced if it exists.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        ExportError: if the program gives other masks.
    """
    source = read_source(merged)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program = torch.export.export(
            source.graph, (source.images(TRACED_BATCH),), dynamic_shapes={INPUT: {0: batch}}, strict=False
        )
    # They would be written as a pickle.
    program.example_inputs = None
    with atomic_file(output) as temporary:
        _save(program, temporary, {})
        loaded = torch.export.load(temporary).module()

        def run(images: Tensor) -> dict[str, Tensor]:
            return dict(zip(OUTPUTS, loaded(images), strict=True))

        difference = largest_difference(source, run, output)
        about = source.about | {"largest_logit_difference": f"{difference:.3g}"}
        _save(program, temporary, {ABOUT_FILE: json.dumps(about, indent=2)})
    return Exported(difference, _lines(source, output))


def _lines(source: Source, output: Path) -> str:
    size = source.graph.segmenter.image_size
    opened = _OPEN.format(output=in_python(output))
    if source.head.scale is None:
        return opened + _LINES.format(size=size)
    return "import numpy as np\n" + opened + graph_lines(source.head, size, _CALL)


def _save(program: ExportedProgram, path: Path, extra_files: dict[str, Any]) -> None:
    # Given a path, torch writes its name into the archive, and that of a temporary file is another one every time.
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files=extra_files)
