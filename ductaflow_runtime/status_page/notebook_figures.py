"""The figures of one stored notebook, and a figure as a thumbnail."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

from ductaflow_runtime.files import read_json

NOTEBOOK_BYTES = 40_000_000
FIGURES_PER_INSTANCE = 6
FIGURE_CHARACTERS = 600_000
SMALL_WIDTH = 420
SMALL_QUALITY = 70

_BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")

Figure = tuple[str, str, int]
"""Media type, base64 text, number of the code cell."""


def notebook_figures(path: Path) -> tuple[list[Figure], int]:
    """The first images among a notebook's outputs, and how many it has; none if it is damaged or very large."""
    try:
        if path.stat().st_size > NOTEBOOK_BYTES:
            return [], 0
        cells = read_json(path)["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code" and not _injected(cell)]
        bundles = [
            (number, output.get("data") or {})
            for number, cell in enumerate(code, 1)
            for output in cell.get("outputs", ())
        ]
        images = [(number, _image(bundle)) for number, bundle in bundles]
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return [], 0
    figures = [(*image, number) for number, image in images if image is not None]
    return [one for one in figures if len(one[1]) <= FIGURE_CHARACTERS][:FIGURES_PER_INSTANCE], len(figures)


def _injected(cell: dict[str, Any]) -> bool:
    """Records count the flow's own cells, which the one that papermill puts in is not."""
    return "injected-parameters" in (cell.get("metadata") or {}).get("tags", ())


def _image(bundle: dict[str, Any]) -> tuple[str, str] | None:
    for media in ("image/png", "image/jpeg"):
        if media in bundle:
            text = re.sub(r"\s+", "", _joined(bundle[media]))
            return (media, text) if _BASE64.fullmatch(text) else None
    if "image/svg+xml" in bundle:
        drawing = _joined(bundle["image/svg+xml"]).encode("utf-8", errors="replace")
        return "image/svg+xml", base64.b64encode(drawing).decode("ascii")
    return None


def _joined(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def smaller(figure: Figure) -> Figure:
    """The figure as a thumbnail, if Pillow is here (matplotlib brings it) and it saves something."""
    try:
        from PIL import Image
    except ImportError:
        return figure
    media, text, cell = figure
    if media == "image/svg+xml":
        return figure
    try:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            picture = image.convert("RGBA")
        picture.thumbnail((SMALL_WIDTH, 4 * SMALL_WIDTH), Image.Resampling.BILINEAR)
        paper = Image.new("RGB", picture.size, "white")  # what the page shows behind a figure
        paper.paste(picture, mask=picture.getchannel("A"))
        written = io.BytesIO()
        paper.save(written, "WEBP", quality=SMALL_QUALITY, method=1)
    except Exception:  # noqa: BLE001 - a damaged image, or a Pillow without WebP, has its own way to say so
        return figure
    made = base64.b64encode(written.getvalue()).decode("ascii")
    return ("image/webp", made, cell) if len(made) < len(text) else figure
