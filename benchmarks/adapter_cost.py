"""What an adapter costs: a training step against plain LoRA's, and inference after merging against the base's.

    python -m benchmarks.adapter_cost --repeats 40
    python -m benchmarks.adapter_cost --model vit_b --image-size 512 --batch-size 1 --repeats 5

Weights are random: they do not change what is computed. A step is the project's own, from forward pass to
optimiser; "search step" is one of the weights and one of the alphas, on the same number of images each. Under a budget
one step moves both until layers have chosen; these rows adapt all four projections of a block, as one of LoRA's does.
All take turns, and the ratios are medians over the rounds; CPU time suffers less from other work on the machine.
"""

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.bench.cost import random_images, training_step
from naslora_core.cell import MixedOp
from naslora_core.config import Params, load_params
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.files import write_json
from naslora_core.merge.calibrated import calibrate
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.sam.build import Sam, build_sam
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.timing import alternate, median, median_ratio

PARAMS = Path(__file__).parents[1] / "params.yaml"
# The paper's cell, instead of the search that params.yaml comes with.
MIXTURE = ["search.budget=none", "search.space=linear", "adapter.target_modules=[attn.qkv]"]


class NaiveMixedOp(MixedOp):
    """The supernet as DARTS runs it, operation by operation."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to the same shape."""
        return torch.stack([weight * op(z) for weight, op in zip(self.op_weights, self.ops, strict=True)]).sum(dim=0)


def main() -> None:
    """Measure, print two tables, and write them as JSON where asked to."""
    options = _parse()
    settings = [f"model.name={options.model}", f"model.image_size={options.image_size}",
                f"train.batch_size={options.batch_size}", f"adapter.rank={options.rank}",
                f"model.precision={options.precision}",
                "train.view=whole", "train.detail=off", "train.loss=ce_dice", *MIXTURE]  # fmt: skip
    params = load_params(PARAMS, settings)
    torch.manual_seed(params.seed)
    data = random_images(build_sam(params.model.name, _size(params)).image_encoder.img_size, options.batch_size)
    tables: dict[str, dict[str, dict[str, float]]] = {}
    if not options.skip_training:
        tables["training"] = _compare(_training_steps(settings), "lora", options.repeats)
        _print("Training step", tables["training"], "LoRA")
    tables["inference"] = _compare(_inferences(params, data, options.precision), "base", options.repeats * 3)
    _print("Inference of one image", tables["inference"], "the base")
    if options.json:
        write_json(options.json, {"options": {key: str(value) for key, value in vars(options).items()}, **tables})


def _compare(work: dict[str, Callable[[], object]], reference: str, repeats: int) -> dict[str, dict[str, float]]:
    seconds = alternate(work, repeats)
    rows = {}
    for name, own in seconds.items():
        (wall, cpu), (ratio, cpu_ratio) = median(own), median_ratio(own, seconds[reference])
        rows[name] = {"wall_s": wall, "cpu_s": cpu, "ratio": ratio, "cpu_ratio": cpu_ratio}
    return rows


def _training_steps(settings: list[str]) -> dict[str, Callable[[], object]]:
    everywhere = "adapter.target_modules=[attn.qkv, mlp.lin1, mlp.lin2]"
    budget = [everywhere, "search.space=choices", "search.budget=1.02", "search.max_parameters=0.3"]
    variants = {
        "decoder only": ["adapter.method=none"],
        "lora": ["adapter.method=lora"],
        "conv_lora": ["adapter.method=conv_lora"],
        "nas_lora": ["adapter.method=nas_lora"],
        "nas_pc_lora": ["adapter.method=nas_pc_lora"],
        "nas_lora, search step": ["adapter.method=nas_lora", "search.arch_every=1"],
        "nas_lora, darts space": ["adapter.method=nas_lora", "search.space=darts"],
        "nas_lora, naive sum": ["adapter.method=nas_lora"],
        "lora, in the MLPs too": ["adapter.method=lora", everywhere],
        "nas_lora under a budget, searching": ["adapter.method=nas_lora", *budget],
        "nas_lora under a budget, after the choice": ["adapter.method=nas_lora", *budget],
    }
    steps: dict[str, Callable[[], object]] = {}
    for name, own in variants.items():
        searching = name.endswith(("search step", "searching"))
        step = training_step(load_params(PARAMS, [*settings, *own]), searching=searching)
        if name.endswith("naive sum"):
            for layer in find_adapters(step.segmenter).values():
                for op in layer.mixed_ops().values():
                    op.__class__ = NaiveMixedOp
        steps[name] = step
    return steps


def _inferences(params: Params, data: PreparedData, precision: str) -> dict[str, Callable[[], object]]:
    # Frozen like the merged ones: autocast treats weights that may learn in another way.
    base = build_sam(params.model.name, _size(params)).requires_grad_(False).eval()
    adapted = _adapted(params)
    pointwise = _adapted(params)
    for module in pointwise.modules():
        if isinstance(module, MixedOp):
            module.set_time(temperature=1, pressure=math.inf)
    models = {
        "base": base,
        "adapted, not merged": adapted,
        "merged exact": exact(pointwise).sam,
        "merged calibrated": calibrate(adapted, data, count=1, ridge=params.merge.ridge).sam,
        "merged fold": fold(adapted).sam,
    }
    for kind, is_windowed in (("windowed", True), ("global", False)):
        models[f"merged fold of one {kind} layer"] = fold(_adapted(params, is_windowed)).sam
    image = torch.from_numpy(data.images[0])[None].permute(0, 3, 1, 2)
    return {name: partial(_segment, sam, image, precision) for name, sam in models.items()}


@torch.no_grad()
def _segment(sam: Sam, image: torch.Tensor, precision: str) -> None:
    with autocast(precision, sam.device):
        PromptFreeSegmenter(sam)(image)


def _adapted(params: Params, one_windowed: bool | None = None) -> Sam:
    """Return a SAM with adapters in all blocks, or in the first that has windows or, if False, none."""
    sam = build_sam(params.model.name, _size(params))
    if one_windowed is not None:
        sides = [block.window_size for block in sam.image_encoder.blocks]
        block = [side > 0 for side in sides].index(one_windowed)
        adapter = params.adapter.model_copy(update={"target_modules": [f"blocks.{block}.attn.qkv"]})
        params = params.model_copy(update={"adapter": adapter})
    for layer in add_adapters(sam, params.adapter, params.search, params.seed).values():
        assert isinstance(layer, LowRankAdapter)
        nn.init.normal_(layer.lora_B, std=0.01)
    return sam.eval()


def _size(params: Params) -> int | None:
    return None if params.model.image_size == "native" else params.model.image_size


def _print(title: str, rows: dict[str, dict[str, float]], reference: str) -> None:
    table = Table("", "ms", "CPU ms", f"time / {reference}", f"CPU time / {reference}", title=title)
    for name, row in rows.items():
        times = [f"{1000 * row[key]:.1f}" for key in ("wall_s", "cpu_s")]
        table.add_row(name, *times, *(f"{row[key]:.3f}" for key in ("ratio", "cpu_ratio")))
    Console(width=120).print(table)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam_tiny", help="sam_tiny, vit_b, vit_l or vit_h")
    parser.add_argument("--image-size", default="native", help="side of the input in pixels")
    parser.add_argument("--batch-size", type=int, default=8, help="images in a training step")
    parser.add_argument("--rank", type=int, default=8, help="of the adapters")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=40, help="rounds; three times as many for inference")
    parser.add_argument("--skip-training", action="store_true", help="measure inference alone")
    parser.add_argument("--json", type=Path, help="write the tables to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
