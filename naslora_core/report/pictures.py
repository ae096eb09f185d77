"""The pictures of the page: photographs stored once, outlines as SVG, heat maps."""

import base64
from pathlib import Path
from typing import Any


def gallery_cases(entries: list[dict[str, Any]], folder: Path, domain: str) -> list[dict[str, Any]]:
    """Return the gallery's entries for the template.

    Args:
        entries: of gallery.json.
        folder: that gallery.json lies in.
        domain: makes the ids unique on the page.

    Returns:
        Each entry with `id`, `photo` (a data URI), `shapes` (path data by id, each once), `layers` (by panel, pairs of
        id and colour), `gain` of the merged model over the base, and `first`: whether it is the first of its kind.
    """
    cases, kinds = [], set()
    for number, entry in enumerate(entries, start=1):
        name = f"{domain}-{number}"
        shapes: dict[str, str] = {}
        layers = {
            panel: [(shapes.setdefault(shape["path"], f"{name}-{len(shapes)}"), shape["colour"]) for shape in drawn]
            for panel, drawn in entry["panels"].items()
        }
        cases.append(
            entry
            | {
                "id": name,
                "domain": domain,
                "photo": data_uri(folder / entry["file"]),
                "shapes": {identifier: path for path, identifier in shapes.items()},
                "layers": layers,
                "gain": entry["dice"]["merged"] - entry["dice"]["base"],
                "first": entry["case"] not in kinds,
            }
        )
        kinds.add(entry["case"])
    return cases


def heat_cases(entries: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return the entries of heat.json with their panels as data URIs."""
    return [
        entry | {"panels": {title: data_uri(folder / file) for title, file in entry["panels"].items()}}
        for entry in entries
    ]


def lost_cases(entries: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return the examples of widths.json with their three panels as data URIs, by title."""
    panels = {"image": "image", "mask as drawn": "drawn", "kept by mask cells": "kept"}
    return [
        entry | {"panels": {title: data_uri(folder / entry[kind]) for title, kind in panels.items()}}
        for entry in entries
    ]


def data_uri(path: Path) -> str:
    """Return a JPEG or PNG file as a `data:` URI."""
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
