"""Draw masks as contours on images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

PANEL_SIDE_PX = 360
GAP_PX = 6
TRUTH_COLOUR = (64, 190, 255)
PREDICTION_COLOUR = (255, 176, 0)
# Of a prediction that does not say which class it means.
ANY_CLASS_COLOUR = (255, 255, 255)
# What truth and prediction share; where they differ, the colour of the one that says foreground.
SHARED_COLOUR = (236, 240, 244)
# Of pixels that nobody labelled, in whatever picture; no class has it.
IGNORED_COLOUR = (128, 128, 128)
# Told apart with any colour vision: Okabe and Ito, "Color Universal Design", 2008, the brighter ones first.
CLASS_COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (0, 114, 178),
)  # fmt: skip
# (H, W) of 0 and 1, and its colour.
Contour = tuple[np.ndarray, tuple[int, int, int]]
_HALO = (10, 12, 16)
_SUPERSAMPLING = 3
# Width in pixels of the picture, and opacity.
_LINE, _RIM = (1.9, 255), (3.2, 128)
_HATCH_PX = 8
_HATCH_OPACITY = (215, 110)


def class_colour(number: int) -> tuple[int, int, int]:
    """Return the colour of a class id, from 1 on; colours repeat after the seventh class."""
    return CLASS_COLOURS[(number - 1) % len(CLASS_COLOURS)]


def contours_of(ids: np.ndarray) -> list[Contour]:
    """Return the mask of every class in `ids` (H, W), each with its colour, for `panel`; none may be IGNORED_ID."""
    return [(ids == number, class_colour(int(number))) for number in np.unique(ids) if number]


def css(colour: tuple[int, int, int]) -> str:
    """Return a colour as web pages write it, "#rrggbb"."""
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"


def panel(image: np.ndarray, contours: Sequence[Contour] = (), ignored: np.ndarray | None = None) -> Image.Image:
    """Return the image with outlines of masks, shrunk to at most `PANEL_SIDE_PX` a side.

    Args:
        image: (H, W, 3) uint8 RGB.
        contours: masks (H, W) of 0 and 1, each with its RGB colour; later ones lie on top. An empty mask
            draws nothing.
        ignored: (H, W) bool, pixels that nobody labelled, hatched in grey; None if there are none.
    """
    return panels(image, [contours], ignored)[0]


def panels(
    image: np.ndarray, contours: Sequence[Sequence[Contour]], ignored: np.ndarray | None = None
) -> list[Image.Image]:
    """Return what `panel` does for several lists of contours of one image; a mask in many is traced once."""
    ground = Image.fromarray(image)
    ground.thumbnail((PANEL_SIDE_PX, PANEL_SIDE_PX), Image.Resampling.LANCZOS)
    if ignored is not None:
        hatch(ground, ignored)
    masks = {id(mask): mask for of_panel in contours for mask, _ in of_panel if mask.any()}
    outlines = {key: _Outline.of(mask, ground.size) for key, mask in masks.items()}
    pictures = [ground.copy() for _ in contours]
    for picture, of_panel in zip(pictures, contours, strict=True):
        for mask, colour in of_panel:
            if id(mask) in outlines:
                outlines[id(mask)].draw(picture, colour)
    return pictures


def hatch(picture: Image.Image, ignored: np.ndarray) -> None:
    """Hatch in grey, in place, what nobody labelled: (H, W) bool of the whole picture, whatever its size."""
    share = Image.fromarray(np.where(ignored, 255, 0).astype(np.uint8)).resize(picture.size, Image.Resampling.BOX)
    rows, columns = np.indices((picture.height, picture.width))
    opacity = np.where((rows + columns) % _HATCH_PX < _HATCH_PX // 2, *_HATCH_OPACITY)
    picture.paste(IGNORED_COLOUR, mask=Image.fromarray((opacity * np.asarray(share) / 255).astype(np.uint8)))


def error_panel(image: np.ndarray, areas: Sequence[Contour]) -> Image.Image:
    """Return a greyer, darker image with areas filled, shrunk to at most `PANEL_SIDE_PX` a side.

    Args:
        image: (H, W, 3) uint8 RGB.
        areas: masks (H, W) that share no pixel, each with its RGB colour.
    """
    darker = [round(0.55 * level) for level in range(256)]
    picture = Image.fromarray(image).convert("L").point(darker).convert("RGB")
    picture.thumbnail((PANEL_SIDE_PX, PANEL_SIDE_PX), Image.Resampling.LANCZOS)
    for mask, colour in areas:
        opacity = Image.fromarray(np.where(mask, 190, 0).astype(np.uint8))
        picture.paste(colour, mask=opacity.resize(picture.size, Image.Resampling.BOX))
    return picture


def error_areas(truth: np.ndarray, predicted: np.ndarray) -> dict[str, Contour]:
    """Return true positives, misses and false positives of a prediction, as masks (H, W) with their colours.

    Args:
        truth: (H, W) class ids, 0 is the background; none may be IGNORED_ID.
        predicted: (H, W) class ids; a wrong class counts as missed.
    """
    found = (truth > 0) & (predicted == truth)
    return {
        "found": (found, SHARED_COLOUR),
        "missed": ((truth > 0) & ~found, TRUTH_COLOUR),
        "extra": ((predicted > 0) & (truth == 0), PREDICTION_COLOUR),
    }


@dataclass(frozen=True)
class _Outline:
    """A smooth line along the inner border of a mask, and a wider dark rim that keeps it visible on any background.

    Where the mask touches the image's edge they follow that edge, so every outline is closed.

    Args:
        rim: opacity, 8-bit grey.
        line: likewise.
    """

    rim: Image.Image
    line: Image.Image

    @classmethod
    def of(cls, mask: np.ndarray, size: tuple[int, int]) -> "_Outline":
        """Trace a mask (H, W), above 0 where it covers a picture of `size`, (width, height)."""
        large = (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING)
        grey = Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8))
        shape = grey.resize(large, Image.Resampling.BILINEAR).point([0] * 128 + [255] * 128)
        rim, line = (_inner_border(shape, *kind).resize(size, Image.Resampling.BOX) for kind in (_RIM, _LINE))
        return cls(rim, line)

    def draw(self, picture: Image.Image, colour: tuple[int, int, int]) -> None:
        """Draw both, in place, on a picture of the size they were traced for."""
        picture.paste(_HALO, mask=self.rim)
        picture.paste(colour, mask=self.line)


def _inner_border(shape: Image.Image, width_px: float, level: int) -> Image.Image:
    """Return a line of that grey `level` along the inner border of a shape of 0 and 255, of the same size."""
    # A Gaussian blur of a straight border is 84 % at one sigma inside it, in every direction alike.
    reach = width_px * _SUPERSAMPLING
    margin = math.ceil(3 * reach)
    left, top, right, bottom = shape.getbbox() or (0, 0, 1, 1)
    framed = shape.crop((left - margin, top - margin, right + margin, bottom + margin))
    blurred = ImageOps.crop(framed.filter(ImageFilter.GaussianBlur(reach)), margin)
    border = ImageChops.multiply(ImageOps.crop(framed, margin), blurred.point([level] * 215 + [0] * 41))
    line = Image.new("L", shape.size)
    line.paste(border, (left, top))
    return line


def join_panels(panels: Sequence[Image.Image]) -> Image.Image:
    """Return panels of one size side by side, with transparent gaps of `GAP_PX`."""
    width, height = panels[0].size
    strip = Image.new("RGBA", (len(panels) * (width + GAP_PX) - GAP_PX, height))
    for position, picture in enumerate(panels):
        strip.paste(picture, (position * (width + GAP_PX), 0))
    return strip
