"""What a training step of every model costs, in time against vit_b's and in memory, and how large the models are.

    python -m benchmarks.families --repeats 2
    python -m benchmarks.families --model mobile_sam --model sam2_hiera_tiny --image-size 512

Weights are random: they do not change what is computed. A step is the project's own, from forward pass to optimiser,
with the adapters that params.yaml has and, unless others are named, on one image of the model's own size. Each model
takes turns with vit_b, so that two are in memory at a time; ratios are medians over the rounds, and CPU time suffers
less from other work on the machine. Memory is that of a fresh process, with all of Python and torch in it.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from naslora_core.bench.cost import Row, compare_training
from naslora_core.config import Params, load_params
from naslora_core.files import write_json
from naslora_core.sam.build import build_sam
from naslora_core.sam.segmenter import count_parameters
from naslora_core.sam.specs import MODEL_SPECS

PARAMS = Path(__file__).parents[1] / "params.yaml"
REFERENCE = "vit_b"
# Of a whole image, as SAM decodes it, and without what only the search's first half does.
SETTINGS = ["train.view=whole", "train.detail=off", "train.loss=ce_dice", "search.budget=none"]


def main() -> None:
    """Measure the models, print a table, and write it as JSON where asked to."""
    options = _parse()
    names = list(dict.fromkeys([REFERENCE, *options.model]))
    rows = {name: _params(name, options) for name in names}
    found = compare_training(rows, REFERENCE, options.repeats)
    for name, row in found.items():
        model = build_sam(name)
        row |= {"parameters": count_parameters(model), "encoder": count_parameters(model.image_encoder)}
    _print(found)
    if options.json:
        write_json(options.json, {"options": {key: str(value) for key, value in vars(options).items()}, "rows": found})


def _params(name: str, options: argparse.Namespace) -> Params:
    own = [f"model.name={name}", f"model.image_size={options.image_size}", f"train.batch_size={options.batch_size}"]
    own += [f"adapter.method={options.method}", f"model.precision={options.precision}"]
    own += [f"model.gradient_checkpointing={str(options.gradient_checkpointing).lower()}"]
    return load_params(PARAMS, [*SETTINGS, *own])


def _print(rows: dict[str, Row]) -> None:
    table = Table("model", "parameters", "of the encoder", "CPU s", "of vit_b's", "wall", "peak MiB", "of vit_b's")
    for name, row in rows.items():
        millions = [f"{row[what] / 1e6:.1f} M" for what in ("parameters", "encoder")]
        figures = [f"{row['cpu_s']:.2f}", f"{row['cpu_ratio']:.2f}", f"{row['ratio']:.2f}"]
        table.add_row(name, *millions, *figures, f"{row['peak_mib']:.0f}", f"{row['memory_ratio']:.2f}")
    Console().print(table)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("--model", action="append", choices=list(MODEL_SPECS), help="again for more; default: all")
    parser.add_argument("--method", default="lora", help="adapter.method; default: lora")
    parser.add_argument("--image-size", default="native", help="side of the input in pixels; default: the model's")
    parser.add_argument("--batch-size", type=int, default=1, help="images of a step; default: 1")
    parser.add_argument("--precision", default="auto", help="model.precision; default: auto")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    parser.add_argument("--repeats", type=int, default=3, help="rounds after the one that warms up; default: 3")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    options.model = options.model or [name for name in MODEL_SPECS if not name.endswith("_mini")]
    return options


if __name__ == "__main__":
    main()
