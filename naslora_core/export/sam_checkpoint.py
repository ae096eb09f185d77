"""Export a merged model as a checkpoint that segment-anything loads, or the package of MobileSAM or of SAM 2."""

from pathlib import Path

import torch

from naslora_core.export.plain_sam import read_plain_sam
from naslora_core.export.sam2_checkpoint import official_content, official_lines
from naslora_core.export.usage import in_python, sam_lines
from naslora_core.files import atomic_file
from naslora_core.sam.families.mobile_sam_keys import to_official
from naslora_core.sam.specs import MODEL_SPECS, TrackerSpec


def export_sam_checkpoint(merged: Path, output: Path) -> str:
    """Write a merged model as a .pth file that holds upstream's state dict alone, atomically.

    `sam_model_registry[name](checkpoint=output)` loads it, and `SamPredictor.predict(multimask_output=False)`
    without prompts gives our masks; of a MobileSAM those of its authors' package, `mobile_sam`, and of a SAM 2 of
    theirs, `sam2`. A detail path is left out, and a comment in the lines says what that costs.

    Args:
        merged: what stage merge wrote.
        output: the file; replaced if it exists.

    Returns:
        The lines of Python that load it; for a model of crops also those that cut an image into parts.

    Raises:
        CheckpointError: if files are missing, damaged or of another version.
        MergeError: if the model is not an ordinary SAM, or a SAM 3, of which see `export_hf_folder`.
    """
    plain = read_plain_sam(merged)
    if isinstance(MODEL_SPECS[plain.name], TrackerSpec):
        content = official_content(plain, merged)
        with atomic_file(output) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
        return f"{plain.comments()}{official_lines(plain, output)}"
    package, name = ("mobile_sam", "vit_t") if plain.name == "mobile_sam" else ("segment_anything", plain.name)
    weights = to_official(plain.weights) if plain.name == "mobile_sam" else plain.weights
    with atomic_file(output) as temporary, temporary.open("wb") as file:
        torch.save(weights, file)
    if MODEL_SPECS[plain.name].source:
        load = (
            f"from {package} import SamPredictor, sam_model_registry\n"
            f'predictor = SamPredictor(sam_model_registry["{name}"](checkpoint={in_python(output)}))'
        )
    else:
        load = (
            "import torch\nfrom naslora_core.sam.build import build_sam\nfrom segment_anything import SamPredictor\n"
            f'sam = build_sam("{plain.name}")\n'
            f"sam.load_state_dict(torch.load({in_python(output)}, weights_only=True))\n"
            "predictor = SamPredictor(sam)"
        )
    tiles = "" if plain.head.scale is None else f"\n{sam_lines(plain.head, plain.image_size)}"
    return f"{plain.comments()}{load}{tiles}"
