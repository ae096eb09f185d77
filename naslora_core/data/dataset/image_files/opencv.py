"""Decode with OpenCV what Pillow would cut to 8 bits: bands in the order of the file, and no word on the way."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

_SILENT = 0


def decode(data: bytes) -> np.ndarray | None:
    """Return the numbers of an image as they are stored; None if OpenCV cannot decode it.

    Args:
        data: what is in the file.

    Returns:
        (H, W, C), not rotated; of three or more channels red, green and blue come first, as in the file.
    """
    with _silence():
        try:
            values = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
    if values is None or values.ndim == 2:
        return None if values is None else values[..., None]
    return values if values.shape[2] < 3 else values[..., [2, 1, 0, *range(3, values.shape[2])]]


@contextmanager
def _silence() -> Iterator[None]:
    # It writes to the terminal what the caller says in its own message.
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
