"""Trace masks as SVG outlines, which stay sharp at any size and are far smaller than pictures."""

import cv2
import numpy as np

from naslora_core.geometry.polygons import outlines

# Paths are in units of this many along the image's longer side.
SIDE_UNITS = 1000
# Masks are traced at no more than this many pixels a side: a page shows no more.
_TRACED_PX = 480
# How far, in traced pixels, an outline may leave the stairs of the pixels' edges to be smooth.
_TOLERANCE_PX = 0.75


def view_box(height: int, width: int) -> tuple[int, int]:
    """Return the width and height of an image in the units of the paths."""
    scale = SIDE_UNITS / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def outline_path(mask: np.ndarray) -> str:
    """Return the border of a mask as SVG path data, to be filled by the even-odd rule.

    Args:
        mask: (H, W), above 0 where it covers the image.

    Returns:
        Closed polygons in whole units, see `view_box`; "" for an empty mask.
    """
    shrink = min(1.0, _TRACED_PX / max(mask.shape))
    size = (max(1, round(mask.shape[1] * shrink)), max(1, round(mask.shape[0] * shrink)))
    share = cv2.resize((mask > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    traced = (share >= 0.5).astype(np.uint8)
    units = np.array(view_box(*mask.shape)) / traced.shape[::-1]
    rings = (ring for polygon in outlines(traced) for ring in polygon)
    return "".join(_polygon(_smooth(ring) * units) for ring in rings)


def _smooth(ring: np.ndarray) -> np.ndarray:
    """Return a ring (N, 2) simplified to fewer points; unchanged where it is too small."""
    smooth = cv2.approxPolyDP(ring[:, None].astype(np.float32), _TOLERANCE_PX, closed=True)[:, 0]
    return smooth if len(smooth) > 2 else ring


def _polygon(points: np.ndarray) -> str:
    """Return a closed polygon by its first point and the steps from point to point, (N, 2) as x and y."""
    whole = np.rint(points).astype(int)
    steps = np.diff(whole, axis=0)
    moves = " ".join(f"{x} {y}" for x, y in steps[(steps != 0).any(axis=1)])
    return f"M{whole[0, 0]} {whole[0, 1]}l{moves}z"
