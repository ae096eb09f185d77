"""Train a U-Net from scratch on a dataset for some seconds, and score it on its test images.

    python -m benchmarks.unet --data data/crack_forest --seconds 150 --seed 1
    python -m benchmarks.unet --data data/crack_forest --seconds 150 --seed 1 --lr 0.001 --out scores

Seconds are those of the processor, on an accelerator of the wall. Without --lr each of three rates is trained for as
long, and the one that is best on the validation images is taken.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from naslora_core.bench.table import RATES
from naslora_core.bench.unet.train import UNetSettings, train_best_rate
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.evaluation.evaluate import evaluate_model
from naslora_core.files import write_json


def main() -> None:
    """Train, print what came out, and write the scores of every image."""
    options = _parse()
    dataset = read_dataset(options.data)
    settings = UNetSettings(
        options.seconds,
        seed=options.seed,
        crop_px=options.crop,
        batch_size=options.batch,
        norm=options.norm,
        longer_px=options.longer,
        precision=options.precision,
    )
    rates = [replace(settings, lr=rate) for rate in options.lr or RATES]
    trained = train_best_rate(dataset.of_split("train"), dataset.of_split("validation"), dataset.card, rates)
    checks = " ".join(f"{seconds:.0f}s:{dice:.3f}" for seconds, dice in trained.checks)
    print(f"checks {checks}")
    result: dict[str, object] = {
        "lr": trained.settings.lr,
        "validation_dice": round(trained.validation_dice, 4),
        "steps": trained.steps,
        "seconds": round(trained.seconds, 1),
        "parameters": trained.parameters,
    }
    if not options.no_test:
        scored = evaluate_model(trained.predict, dataset.of_split("test"), dataset.card, 0.5, model="U-Net")
        options.out.mkdir(parents=True, exist_ok=True)
        scored.table.to_csv(options.out / "per_image.csv", index=False)
        result["test"] = {name: round(value, 4) for name, value in scored.table.mean(numeric_only=True).items()}
        write_json(options.out / "result.json", result)
    print(result)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of a dataset, with dataset.yaml")
    parser.add_argument("--seconds", type=float, default=150, help="of every training")
    parser.add_argument("--seed", type=int, default=0, help="of weights and crops")
    parser.add_argument("--lr", type=float, action="append", help="the rate, or several; instead of the usual three")
    parser.add_argument("--crop", type=int, default=UNetSettings.crop_px, help="side of a crop in pixels")
    parser.add_argument("--batch", type=int, default=UNetSettings.batch_size, help="crops in a step")
    parser.add_argument("--norm", default=UNetSettings.norm, choices=["instance", "batch"], help="normalisation")
    parser.add_argument("--longer", type=int, help="shrink the images' longer side to so many pixels")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"], help="of matrix products")
    parser.add_argument("--no-test", action="store_true", help="look at the validation images alone")
    parser.add_argument("--out", type=Path, default=Path("unet-scores"), help="gets per_image.csv and result.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
