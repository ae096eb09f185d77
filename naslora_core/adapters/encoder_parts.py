"""Methods without adapters: parts of the image encoder itself learn, or nothing of it does."""

from torch import nn

from naslora_core.adapters.base import METHODS, Adapter
from naslora_core.config import AdapterConfig, SearchConfig


@METHODS.register("none")
def train_decoder_only(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Leave the encoder as it is; the mask decoder learns alone."""
    return {}


@METHODS.register("neck")
def train_neck(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Let the neck learn, the convolutions behind the frozen blocks: a linear probe, but for its two norms."""
    encoder.get_submodule("neck").requires_grad_(True)
    return {}


@METHODS.register("bitfit")
def train_biases(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Let every bias learn, those of the norms too (BitFit, arXiv:2106.10199)."""
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name.rpartition(".")[2] == "bias")
    return {}


@METHODS.register("full")
def train_everything(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Let the whole encoder learn."""
    encoder.requires_grad_(True)
    return {}
