"""Weights that stay in their file: mapped into memory, read when they are used, and given back when they are not."""

import ctypes
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

# Linux's advice to write pages back and take them out of memory: of a file that nobody changed nothing is written, and
# what was changed stays. In linux/mman.h.
_MADV_PAGEOUT = 21


def take_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a module weights as `load_state_dict` does, but without a copy of those that lie as its own do, in place.

    Whatever changes a weight changes it in memory alone: files are mapped privately. They have to stay as they are as
    long as the module is used; replacing one by renaming another, as DVC and downloads do, leaves it to the module.

    Args:
        module: on the CPU.
        weights: by the module's keys, some or all of them, in its shapes.
    """
    copied = dict(weights)
    taken = set[int]()
    for key, parameter in module.named_parameters():
        if (weight := weights.get(key)) is None:
            continue
        lies_so = weight.dtype == parameter.dtype and weight.stride() == parameter.stride()
        # Two parameters that learn must not be one.
        if lies_so and weight.data_ptr() not in taken:
            parameter.data = copied.pop(key)
            taken.add(weight.data_ptr())
    module.load_state_dict(copied, strict=False)


def mapped_ranges() -> list[tuple[int, int]]:
    """Return the addresses at which this process has mapped files, each the first and the one after the last."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return []
    lines = (line.split(maxsplit=5) for line in maps.read_text(encoding="utf-8", errors="replace").splitlines())
    places = [fields[0].split("-") for fields in lines if len(fields) == 6 and fields[5].startswith("/")]
    return [(int(low, 16), int(high, 16)) for low, high in places]


def give_back(weight: Tensor, ranges: Iterable[tuple[int, int]]) -> None:
    """Take a weight that is mapped from a file out of memory until somebody reads it; another one stays.

    Nothing happens where the system is not Linux, or refuses.

    Args:
        weight: contiguous.
        ranges: of `mapped_ranges`.
    """
    begin = weight.data_ptr()
    if not any(low <= begin < high for low, high in ranges):
        return
    # Whole pages alone; what shares a page with this weight may be in use.
    first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, (begin + weight.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_PAGEOUT)
