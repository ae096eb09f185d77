"""Whether a training can be repeated bit for bit."""

import torch


def describe_determinism(device: torch.device, processes: int) -> dict[str, bool | str]:
    """Say whether the same run on the same machine ends with the same bits, and what forbids it if not.

    Args:
        device: that trains.
        processes: that train together.

    Returns:
        "deterministic", and where it is False "deterministic_reason"; for adapter.json and all made of it.
    """
    reason = ""
    if device.type != "cpu":
        reason = f"{device.type} adds gradients in no fixed order"
    elif processes > 1:
        reason = f"the gradients of {processes} processes are added in no fixed order"
    return {"deterministic": not reason} | ({"deterministic_reason": reason} if reason else {})
