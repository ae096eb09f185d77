"""The searchable cell between LoRA's two projections: edges that mix operations, and the graph of them."""

from naslora_core.cell.choice import ChoiceOp
from naslora_core.cell.graph import Cell
from naslora_core.cell.kernels import EdgeKernels
from naslora_core.cell.mixed_op import MixedOp
from naslora_core.cell.partial import PartialMixedOp

__all__ = ["Cell", "ChoiceOp", "EdgeKernels", "MixedOp", "PartialMixedOp"]
