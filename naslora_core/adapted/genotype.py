"""The genotype: the architecture that a search has found, as genotype.json stores it."""

from collections.abc import Collection, Mapping
from typing import Any

from naslora_core.adapted.architecture import architecture_of
from naslora_core.adapters import Adapter
from naslora_core.adapters.budget.architecture import FORMAT, Architecture
from naslora_core.adapters.budget.cost import is_exact, spent
from naslora_core.adapters.budget.method import costs_in
from naslora_core.adapters.budget.search import BudgetSearch
from naslora_core.cell import MixedOp
from naslora_core.ops import OPS
from naslora_core.sam.build import Sam


def searched_edges(adapters: Mapping[str, Adapter]) -> dict[str, MixedOp]:
    """Return every searched mixture of operations by the name of its layer.

    Where a cell has several edges, the edge follows: "image_encoder.blocks.0.attn.qkv:0_1".
    """
    edges: dict[str, MixedOp] = {}
    for name, layer in adapters.items():
        mixed = layer.mixed_ops()
        edges |= {name if len(mixed) == 1 else f"{name}:{edge}": op for edge, op in mixed.items()}
    return edges


def describe_genotype(sam: Sam, adapters: Mapping[str, Adapter]) -> dict[str, Any]:
    """Return genotype.json: of every searched layer the shares of the operations, and the operation with the largest.

    Args:
        sam: the model the adapters sit in.
        adapters: by layer name, "image_encoder.blocks.0.attn.qkv".

    Returns:
        {"space": [primitive, ...], "layers": [{"layer", "window", "weights": {primitive: share}, "argmax"}]};
        layer is named as by `searched_edges`; window is "8x8" or "image": what the layer's operations can see.
        Without a search both lists are empty. Of a search under a budget see `describe_found`.
    """
    if (found := architecture_of(adapters)) is not None:
        described = describe_found(sam, found, {name for op in searched_edges(adapters).values() for name in op.space})
        for entry in described["layers"]:
            entry |= _worth(entry["layer"], adapters[entry["layer"]])
        return described
    edges = searched_edges(adapters)
    layers: list[dict[str, Any]] = []
    for name, op in edges.items():
        weights: dict[str, float] = dict(zip(op.space, op.op_weights.tolist(), strict=True))
        layers.append(
            {
                "layer": name,
                "window": str(sam.image_encoder.grid_of(_in_encoder(name.partition(":")[0]))),
                "weights": {primitive: round(weight, 6) for primitive, weight in weights.items()},
                "argmax": max(weights, key=weights.__getitem__),
            }
        )
    space = next(iter(edges.values())).space if edges else ()
    return {"space": list(space), "layers": layers}


def describe_found(sam: Sam, architecture: Architecture, searched: Collection[str] = ()) -> dict[str, Any]:
    """Return genotype.json of a search under a budget, or of an architecture that was given; `search.from` reads it.

    Args:
        sam: the model, with or without adapters.
        architecture: what every layer chose or was given.
        searched: the operations there were to choose from.

    Returns:
        {"format", "space", "spatial", "layers": [{"layer", "window", "weights", "argmax", "operation", "ranks", "sees",
        "cost"}], "inference", "parameters"}: weights are 1 and 0; `spatial` are those of the operations, chosen or not,
        that look beyond a token; `sees` is "token", "8x8" or "image": what the layer's own operation sees; `cost` is
        what the layer adds to the time of an image after a merge, as a share of the base's, and `inference` that time
        over the base's, both as `InferenceCost` estimates them; `parameters` are those of the adapters. Of a search
        each layer also has "worth_of_neighbours" and "worth_of_branch": by how much the loss on training images rose,
        or would have risen, without them when that was measured last; null where it was not.
    """
    space = sorted({choice.operation for choice in architecture.values()})
    costs = costs_in(sam.image_encoder, architecture)
    layers = []
    for name, choice in architecture.items():
        window = str(sam.image_encoder.grid_of(name))
        layers.append(
            {
                "layer": f"image_encoder.{name}",
                "window": window,
                "weights": {operation: float(operation == choice.operation) for operation in space},
                "argmax": choice.operation,
                **choice.model_dump(),
                "sees": _sight(choice.operation, window),
                "cost": round(costs[name].time(choice), 6),
            }
        )
    total = spent(architecture, costs)
    return {
        "format": FORMAT,
        "space": space,
        "spatial": sorted(operation for operation in {*space, *searched} if not is_exact(operation)),
        "layers": layers,
        "inference": round(1 + total.time, 6),
        "parameters": int(total.parameters),
    }


def _worth(name: str, layer: Adapter) -> dict[str, float | None]:
    search = layer.callback
    if not isinstance(search, BudgetSearch):
        return {}
    worth = {"worth_of_neighbours": search.worth, "worth_of_branch": search.branch_worth}
    own = {what: values.get(_in_encoder(name)) for what, values in worth.items()}
    return {what: None if value is None else round(value, 8) for what, value in own.items()}


def _in_encoder(layer: str) -> str:
    return layer.removeprefix("image_encoder.")


def _sight(operation: str, window: str) -> str:
    if is_exact(operation):
        return "token"
    return "image" if OPS[operation](1).sees_image else window
