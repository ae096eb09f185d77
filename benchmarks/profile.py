"""Where the time of one run goes, by kind of operation."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

# The first group with a matching name gets the time; names are those of torch's operators.
GROUPS = (
    ("matrix products of linear layers", ("aten::addmm", "aten::mm", "aten::linear", "mkldnn")),
    ("attention", ("scaled_dot_product", "flash_attention", "aten::bmm", "aten::baddbmm", "softmax")),
    ("convolutions", ("conv",)),
    ("normalisation", ("norm", "aten::mean", "aten::var", "aten::pow", "aten::sqrt", "aten::div")),
    ("activations", ("gelu", "relu", "sigmoid")),
    ("copies, casts and reordering", ("copy", "cat", "clone", "contiguous", "_to", "pad", "fill", "zero")),
    ("sums and products", ("aten::add", "aten::mul", "aten::sub", "aten::sum")),
)


def profile_by_kind(run: Callable[[], object]) -> dict[str, float]:
    """Return the share of processor time of each kind of operation in one run, largest first; they add up to 1."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        run()
    spent: dict[str, float] = {}
    for event in recorded.key_averages():
        kind = next((kind for kind, names in GROUPS if any(name in event.key for name in names)), "the rest")
        spent[kind] = spent.get(kind, 0.0) + event.self_cpu_time_total
    whole = sum(spent.values())
    return dict(sorted(((kind, time / whole) for kind, time in spent.items()), key=lambda entry: -entry[1]))
