"""Does a search measure what it claims? Its order of the layers against the drop of validation Dice without each.

    python -m benchmarks.leave_one_out --domain kvasir --run bench-0123456789ab
    python -m benchmarks.leave_one_out --domain kvasir --json agreement.json

Of a finished training under a budget, each layer's branch is taken away alone, and each spatial operation reduced to
its middle tap; nothing is trained again. Without --run it is the pipeline's own training, and the settings are those of
params.yaml. Only validation images are looked at.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from naslora_core.adapted.saved import load_adapted
from naslora_core.bench.agreement import agreement, describe_layer, leave_one_out, read_worth
from naslora_core.config import Params, load_params
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import DataError, NasLoraError
from naslora_core.files import write_json
from naslora_core.reading import read_object
from naslora_core.sam.precision import best_device
from stages.paths import StagePaths
from stages.runner import ConsoleProgress

_SAYS = {
    "branch": "worth of the branch, with the drop without it",
    "chosen_rank": "chosen rank, with the drop without the branch",
    "neighbours": "worth of the neighbours, with the drop at the middle tap alone",
}


def main() -> None:
    """Measure, print the layers and the rank correlations, and write them as JSON where asked to."""
    options = _parse()
    paths = StagePaths(options.root.resolve(), options.run)
    try:
        result = _measure(paths, options.domain, _params(paths), options.seed)
    except NasLoraError as error:
        raise SystemExit(str(error)) from error
    _print(result["layers"], result["agreement"])
    if options.json:
        write_json(options.json, {"run": options.run, "domain": options.domain, **result})


def _params(paths: StagePaths) -> Params:
    """Return the settings of a trial of naslora bench, of which bench.json keeps them, or those of params.yaml."""
    done = paths.output("bench.json")
    if paths.run is None or not done.is_file():
        return load_params(paths.params)
    return Params.model_validate(json.loads(done.read_text(encoding="utf-8"))["params"])


def _measure(paths: StagePaths, domain: str, params: Params, seed: int) -> dict[str, Any]:
    source = paths.output("search_train", domain)
    if not source.is_dir():
        raise DataError(f"{source} not found; name a finished training with --run and --domain")
    worth = read_worth(read_object(source / "genotype.json"))
    segmenter, adapters = load_adapted(source, params.model)
    segmenter.sam.to(best_device())
    validation = replace(load_prepared(paths.source("preprocess", domain), "validation"), scale=segmenter.scale)
    found = leave_one_out(segmenter, adapters, worth, validation, params.model.precision, ConsoleProgress())
    return {
        "images": len(validation),
        "layers": [describe_layer(one) for one in found],
        "agreement": agreement(found, seed),
    }


def _print(layers: Sequence[Mapping[str, Any]], correlations: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("layer", "operation", "ranks", "worth of branch", "of neighbours", "drop", "drop at middle tap")
    for line in sorted(layers, key=lambda line: -line["drop"]):
        ranks = " ".join(f"{name} {rank}" for name, rank in line["ranks"].items())
        name = line["layer"].removeprefix("image_encoder.")
        worth = [
            "" if line[f"worth_of_{what}"] is None else f"{line[f'worth_of_{what}']:.2e}"
            for what in ("branch", "neighbours")
        ]
        reduced = "" if line["pointwise_drop"] is None else f"{line['pointwise_drop']:+.4f}"
        table.add_row(name, line["operation"], ranks, *worth, f"{line['drop']:+.4f}", reduced)
    console = Console(width=140)
    console.print(table)
    for kind, found in correlations.items():
        if found["rho"] is None:
            console.print(f"{_SAYS[kind]}: no order, of {found['layers']} layers")
        else:
            interval = f"[{found['low']:+.2f}, {found['high']:+.2f}]"
            console.print(f"{_SAYS[kind]}: rho {found['rho']:+.2f} {interval}, {found['layers']} layers", markup=False)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", required=True, help="a folder of data/")
    parser.add_argument("--run", help="a folder of runs/; without it, the pipeline's own training")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
