"""What crops and detail paths cost: a training step of each against one of whole images, and peak memory.

    python -m benchmarks.view_cost --repeats 30

Weights and images are random: they do not change what is computed. A step is the project's own, from the cut and
augmented batch to the optimiser. All take turns in one process, on one thread if OMP_NUM_THREADS is 1; ratios are
medians over the rounds. Crops are cut from an image that a batch of them covers. Memory is that of a process by itself.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.table import Table

from naslora_core.bench.cost import TrainingStep, training_step
from naslora_core.config import load_params
from naslora_core.files import write_json
from naslora_core.timing import alternate, median, median_ratio, peak_memory

PARAMS = Path(__file__).parents[1] / "params.yaml"
REFERENCE = "whole, off"


def main() -> None:
    """Measure, print a table, and write it as JSON where asked to."""
    options = _parse()
    settings = {
        f"{view}, {detail}": [*options.set, f"train.view={view}", f"train.detail={detail}"]
        for view, detail in product(("whole", "crops"), options.details)
    }
    for name, batches in {"whole, batch alone": "whole", "crops, batch alone": "crops"}.items():
        settings[name] = [*options.set, f"train.view={batches}", "train.detail=off"]
    prepare = partial(_prepare, is_augmented=not options.no_augment)
    work = {name: prepare(own, name.endswith("alone")) for name, own in settings.items()}
    seconds = alternate(work, options.repeats)
    rows = {}
    for name, own in seconds.items():
        (wall, cpu), (ratio, cpu_ratio) = median(own), median_ratio(own, seconds[REFERENCE])
        rows[name] = {"wall_s": wall, "cpu_s": cpu, "ratio": ratio, "cpu_ratio": cpu_ratio}
        if not options.skip_memory and not name.endswith("alone"):
            rows[name] |= peak_memory(prepare, settings[name], False)
    table = Table("view, detail", "CPU ms", "CPU time / whole", "time / whole", "peak MiB")
    for name, row in rows.items():
        peak = f"{row['peak_mib']:.0f}" if "peak_mib" in row else ""
        ratios = (f"{row[key]:.3f}" for key in ("cpu_ratio", "ratio"))
        table.add_row(name, f"{1000 * row['cpu_s']:.1f}", *ratios, peak)
    Console(width=120).print(table)
    if options.json:
        write_json(options.json, {"options": {key: str(value) for key, value in vars(options).items()}, "rows": rows})


def _prepare(settings: list[str], is_batch_alone: bool, is_augmented: bool = True) -> "TrainingStep | partial[object]":
    mixture = ["search.budget=none", "search.space=linear", "adapter.target_modules=[attn.qkv]"]
    step = training_step(load_params(PARAMS, [*mixture, *settings]), augment=is_augmented)
    return partial(next, step.phases._weight_batches) if is_batch_alone else step


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30, help="rounds")
    parser.add_argument("--details", nargs="+", default=["off", "half", "full"], choices=["off", "half", "full"])
    parser.add_argument("--set", nargs="+", default=[], help="settings, such as train.batch_size=4 train.scale=2")
    parser.add_argument("--no-augment", action="store_true", help="neither flips nor changes of scale and colour")
    parser.add_argument("--skip-memory", action="store_true", help="measure time alone")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
