"""Forward passes that differ from one another by a change in one layer: what lies before it is computed once."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

_BLOCK = re.compile(r"(.*\.\d+)\.")


def blocks_of(encoder: nn.Module, layers: Mapping[str, object]) -> dict[str, nn.Module]:
    """Return the block that each layer is in, by the layer's name: "blocks.3" of "blocks.3.mlp.lin1"."""
    found = ((name, _BLOCK.match(name)) for name in layers)
    return {name: encoder.get_submodule(match[1]) for name, match in found if match}


class Replay:
    """The outputs of blocks in one pass, which later passes on the same images take instead of computing them.

    A block gives the same for the same input. So in a pass with a change in one block, those that ran before it need
    not run. What is kept is a tensor for each block and image: as much as gradient checkpointing keeps.

    Args:
        blocks: those that may be left out.
    """

    def __init__(self, blocks: Mapping[str, nn.Module]) -> None:
        # Each once, as several layers are in one.
        self._blocks = list(dict.fromkeys(blocks.values()))
        self._outputs: dict[nn.Module, Any] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep what blocks return inside a `with` block, in the order in which they run."""
        self._outputs.clear()

        def record(block: nn.Module, inputs: object, output: Any) -> None:
            self._outputs[block] = output

        with ExitStack() as stack:
            for block in self._blocks:
                stack.callback(block.register_forward_hook(record).remove)
            yield

    @contextmanager
    def before(self, changed: nn.Module | None) -> Iterator[None]:
        """Let the blocks that ran before `changed` return what they did, inside a `with` block."""
        order = list(self._outputs)
        skipped = order[: order.index(changed)] if changed in self._outputs else []
        try:
            for block in skipped:
                # Beside the class's own, which is back as soon as this is gone.
                block.forward = _returning(self._outputs[block])
            yield
        finally:
            for block in skipped:
                del block.forward


def _returning(output: Any) -> Callable[..., Any]:
    return lambda *_, **__: output
