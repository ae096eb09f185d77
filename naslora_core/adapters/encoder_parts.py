"""Methods without adapters: train parts of the image encoder itself, or none of it."""

from torch import nn

from naslora_core.adapters.base import METHODS, Adapter
from naslora_core.config import AdapterConfig, SearchConfig


@METHODS.register("none")
def train_decoder_only(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Keep the whole encoder frozen; only the mask decoder is trained."""
    return {}


@METHODS.register("neck")
def train_neck(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Train the neck, the convolutions after the frozen blocks: a linear probe, but for its two norms."""
    encoder.get_submodule("neck").requires_grad_(True)
    return {}


@METHODS.register("bitfit")
def train_biases(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Train every bias, those of the norms too (BitFit, arXiv:2106.10199)."""
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name.rpartition(".")[2] == "bias")
    return {}


@METHODS.register("full")
def train_everything(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Train the whole encoder."""
    encoder.requires_grad_(True)
    return {}
