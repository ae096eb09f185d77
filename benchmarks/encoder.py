"""Compare segment_anything's image encoder with this project's: time, memory and agreement.

Both have the same weights and see the same image. Inference runs the encoder and the mask decoder without prompts
on one image; `--train` runs a training step of NAS-LoRA adapters and mask decoder. Variants take turns, so that
other work on the machine slows them alike; CPU seconds are less sensitive to it than wall seconds. Memory is that of
a fresh process for each variant. Without `--checkpoint` weights are random and the agreement of masks is measured
at the median logit, since the logits of an untrained model hardly cross zero.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks import encoder_variants as variants
from benchmarks.profile import profile_by_kind
from naslora_core.sam.specs import MODEL_SPECS
from naslora_core.timing import alternate, median, median_ratio, peak_memory


def main() -> None:
    """Measure what the command line asks for and print a table."""
    options = _arguments()
    size = options.image_size or MODEL_SPECS[options.model].image_size
    case = variants.Case(options.model, size, options.checkpoint, options.batch_size)
    image = _picture(options.image, size)
    kind = "training_step" if options.train else "inference"
    names = [variants.OFFICIAL, *variants.variants(options.precision, options.train)]
    # First of all: a process starts with the peak of the one it was forked from.
    memory = {} if options.skip_memory else {n: peak_memory(_prepared, kind, case, n, image) for n in names}
    runs: dict[str, variants.Run] = {name: _prepared(kind, case, name, image) for name in names}
    seconds = alternate(runs, options.repeats)
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        (wall, cpu), (speed, cpu_speed) = median(seconds[name]), median_ratio(seconds[names[0]], seconds[name])
        rows[name] = {"wall_s": wall, "cpu_s": cpu, "speedup": speed, "cpu_speedup": cpu_speed}
        rows[name] |= {"images_per_s": (case.batch_size if options.train else 1) / wall, **memory.get(name, {})}
        if memory:
            rows[name]["peak_ratio"] = memory[name]["peak_mib"] / memory[names[0]]["peak_mib"]
    if not options.train:
        _add_agreement(rows, runs, median_level=options.checkpoint is None)
    title = f"{kind} of {options.model} at {size}, {torch.get_num_threads()} threads, median of {options.repeats}"
    _print(title, rows)
    if options.profile:
        _print_profiles({name: profile_by_kind(run) for name, run in runs.items()})
    if options.json:
        options.json.write_text(json.dumps({"title": title, "rows": rows, "seconds": seconds}, indent=2) + "\n")


def _prepared(kind: str, case: variants.Case, variant: str, image: Tensor) -> variants.Run:
    run: variants.Run = getattr(variants, kind)(case, variant, image)
    return run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder", description=__doc__)
    parser.add_argument("--model", choices=list(MODEL_SPECS), default="vit_b")
    parser.add_argument("--image-size", type=int, help="side of the input in pixels; default: the model's")
    parser.add_argument("--repeats", type=int, default=3, help="rounds after the one that warms up")
    parser.add_argument("--precision", choices=["fp32", "bf16", "both"], default="both", help="of this project's side")
    parser.add_argument("--train", action="store_true", help="measure a training step instead of inference")
    parser.add_argument("--batch-size", type=int, default=8, help="images of a training step")
    parser.add_argument("--checkpoint", type=Path, help="weights of the model; default: random")
    parser.add_argument("--image", type=Path, help="a picture; default: smoothed noise")
    parser.add_argument("--skip-memory", action="store_true", help="save the time of the processes that measure memory")
    parser.add_argument("--profile", action="store_true", help="also say where the time of each variant goes")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def _picture(path: Path | None, size: int) -> Tensor:
    """Return (1, 3, S, S) uint8, the picture stretched to a square."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    picture = Image.open(path).convert("RGB") if path else Image.fromarray(noise)
    pixels = np.array(picture.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def _add_agreement(rows: dict[str, dict[str, Any]], runs: dict[str, variants.Run], median_level: bool) -> None:
    official = runs[variants.OFFICIAL]()
    logits = official["low_res_masks"]
    level = logits.median() if median_level else logits.new_zeros(())
    for name, run in runs.items():
        found = run()
        both = ((found["low_res_masks"] > level) & (logits > level)).sum()
        either = ((found["low_res_masks"] > level) | (logits > level)).sum()
        rows[name] |= {
            "logit_error": float((found["low_res_masks"] - logits).abs().max()),
            "embedding_error": float((found["embeddings"] - official["embeddings"]).abs().max()),
            "mask_iou": float(both / either),
        }


def _print(title: str, rows: dict[str, dict[str, Any]]) -> None:
    table = Table("variant", *next(iter(rows.values())), title=title)
    for name, row in rows.items():
        table.add_row(name, *(f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}" for value in row.values()))
    Console(width=160).print(table)


def _print_profiles(shares: dict[str, dict[str, float]]) -> None:
    table = Table("operation", *shares, title="share of the processor time")
    for kind in dict.fromkeys(kind for of_variant in shares.values() for kind in of_variant):
        table.add_row(kind, *(f"{of_variant.get(kind, 0):.1%}" for of_variant in shares.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
