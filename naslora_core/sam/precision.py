"""Choose the precision (float32 or bfloat16) and the device."""

from contextlib import AbstractContextManager

import torch

from naslora_core.errors import ConfigError


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether the processor has bfloat16 instructions."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return False


def decide_precision(precision: str, device: torch.device) -> str:
    """Resolve `precision`, which may be "auto", to "fp32" or "bf16" on a device.

    Raises:
        ConfigError: if `precision` is none of auto, fp32 and bf16.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"model.precision is '{precision}'; use auto, fp32 or bf16")
    if precision != "auto":
        return precision
    return "bf16" if has_fast_bf16(device) else "fp32"


def computing_type(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the type that `autocast` computes matrix products in; None where they stay as their weights are.

    Raises:
        ConfigError: if `precision` is none of auto, fp32 and bf16.
    """
    return torch.bfloat16 if decide_precision(precision, device) == "bf16" else None


def describe_precision(precision: str, device: torch.device) -> str:
    """Describe precision and device with the reason, as in "bf16 on cpu (auto: the processor computes in it)"."""
    decided = decide_precision(precision, device)
    why = "as model.precision says"
    if precision == "auto":
        why = "auto: the processor computes in it" if decided == "bf16" else "auto: the processor has no bf16"
    return f"{decided} on {device.type} ({why})"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which matrix products run in the chosen precision; weights stay float32.

    Args:
        precision: "fp32", "bf16", or "auto" for bf16 where `has_fast_bf16`.

    Raises:
        ConfigError: if `precision` is none of these.
    """
    dtype = computing_type(precision, device)
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def best_device() -> torch.device:
    """Return the accelerator if torch sees one it can use, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def find_device(name: str) -> torch.device:
    """Return the device called `name`: "cpu", "cuda", or "auto" for `best_device`.

    Raises:
        ConfigError: if there is no such device here.
    """
    if name == "auto":
        return best_device()
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device '{name}' is not usable here; use auto (now {best_device().type}), cpu or cuda")
    return torch.device(name)
