"""The figures in the stored notebooks: as many as the page has room for, smaller ones when not all fit.

What does not fit is counted, so that the page can link to the notebook that lies beside it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from ductaflow_runtime.files import read_json
from ductaflow_runtime.runs.states import STATES
from ductaflow_runtime.status_page.page_cache import remember, remembered
from ductaflow_runtime.status_page.row import Row

NOTEBOOKS_READ = 2_000
NOTEBOOK_BYTES = 40_000_000
FIGURES_PER_INSTANCE = 6
FIGURE_CHARACTERS = 600_000
SMALL_WIDTH = 420
SMALL_QUALITY = 70

_BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")
_PRIORITY = {status: place for place, status in enumerate(STATES)}

Figure = tuple[str, str, int]
"""Media type, base64 text, number of the code cell."""
Stamp = tuple[int, int]

_MEMORY = "figures"


@dataclass
class _Notebook:
    """What is known of a notebook: how many figures it has, and those of them that are remembered."""

    stamp: Stamp
    count: int
    size: int
    full: list[Figure] | None
    small: list[Figure] | None = None

    def best(self, fits: bool) -> list[Figure]:
        """The figures as they are where all fit or there are no smaller ones."""
        return (self.full if fits or self.small is None else self.small) or []


class FigureReader:
    """Reads the figures of notebooks under `runs_dir`, again only when a file changed."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._known: dict[Path, _Notebook] = {}
        self._has_looked = self._renewed = False

    def read(self, rows: Sequence[Row], budget: int, seconds: float = 0.0) -> dict[str, Any]:
        """Up to `budget` characters of figures; `seconds` is the time that making them smaller may take.

        `shown`: row -> figures; `left`: row -> how many more its notebook has; `unread`: how many notebooks were
        not looked into; `small`: whether some were made smaller; `limit`: the budget.
        """
        if not self._has_looked:
            self._known, self._has_looked = self._remembered(), True
        with_notebook = [index for index in take_turns(rows) if rows[index].notebook in rows[index].files]
        paths = {index: rows[index].directory / rows[index].notebook for index in with_notebook[:NOTEBOOKS_READ]}
        fits = self._look_into(paths.values(), budget)
        if not fits:
            self._make_smaller(paths.values(), budget, seconds)
        shown = self._as_many_as_fit(paths, budget, fits)
        left = {index: self._known[path].count - len(shown.get(index, ())) for index, path in paths.items()}
        return {
            "shown": shown,
            "left": {index: count for index, count in left.items() if count},
            "unread": len(with_notebook) - len(paths),
            "small": not fits and any(self._known[paths[index]].small for index in shown),
            "limit": budget,
        }

    def keep(self) -> None:
        """Remember for the next process what took time to find out or to make."""
        if self._renewed:
            remember(self._runs_dir, _MEMORY, map(self._told, self._known))
            self._renewed = False

    def _told(self, path: Path) -> list[Any]:
        notebook = self._known[path]
        inside = path.relative_to(self._runs_dir).as_posix()
        return [inside, notebook.stamp, notebook.count, notebook.size, notebook.full, notebook.small]

    def _remembered(self) -> dict[Path, _Notebook]:
        known: dict[Path, _Notebook] = {}
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            for inside, stamp, count, size, full, small in remembered(self._runs_dir, _MEMORY):
                known[self._runs_dir / inside] = _Notebook(tuple(stamp), count, size, _figures(full), _figures(small))
        return known

    def _look_into(self, paths: Collection[Path], budget: int) -> bool:
        """Whether all figures fit as they are. Those for which there is no room are not kept in memory."""
        kept: dict[Path, _Notebook] = {}
        room = budget
        for path in paths:
            stamp = _stamp(path)
            known = self._known.get(path)
            if known is None or known.stamp != stamp:
                figures, count = notebook_figures(path)
                self._renewed = True
                known = _Notebook(stamp, count, _size(figures), figures)
            kept[path] = known
            room -= known.size
            if room < 0:
                known.full = None
        self._known = kept
        if room >= 0:  # perhaps there was less room the last time
            for path, known in kept.items():
                known.full = notebook_figures(path)[0] if known.full is None else known.full
        return room >= 0

    def _make_smaller(self, paths: Iterable[Path], budget: int, seconds: float) -> None:
        """Notebook by notebook, until room or time is used up."""
        end = time.monotonic() + seconds
        for path in paths:
            known = self._known[path]
            if known.small is None and known.count:
                if time.monotonic() > end:
                    return
                self._renewed = True
                known.small, known.full = [smaller(figure) for figure in notebook_figures(path)[0]], None
            budget -= _size(known.best(fits=False))
            if budget < 0:
                return

    def _as_many_as_fit(self, paths: Mapping[int, Path], budget: int, fits: bool) -> dict[int, list[Figure]]:
        shown: dict[int, list[Figure]] = {}
        for index, path in paths.items():
            notebook = self._known[path]
            figures = notebook.best(fits)
            if not figures and 0 < notebook.size <= budget:  # there was no time to make them smaller
                figures = notebook_figures(path)[0]
            size = _size(figures)
            if figures and size <= budget:
                shown[index] = figures
                budget -= size
        return shown


def summary(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of its figures as a whole: how many instances show all of theirs, and what there is not."""
    complete = sum(index not in figures["left"] for index in figures["shown"])
    wanting = len(figures["left"])
    told = {"complete": complete, "wanting": wanting}
    return told | {name: figures[name] for name in ("unread", "small", "limit")}


def take_turns(rows: Sequence[Row]) -> list[int]:
    """The rows that people open come first, one of each step in turn, so that no step takes all the room."""
    steps: dict[str, list[int]] = defaultdict(list)
    for index in by_interest(rows):
        steps[rows[index].step].append(index)
    return [index for index in chain.from_iterable(zip_longest(*steps.values())) if index is not None]


def by_interest(rows: Sequence[Row]) -> list[int]:
    """Failures first, then the newest: the rows that people open."""

    def key(index: int) -> tuple[int, int]:
        return _PRIORITY[rows[index].status], -(rows[index].began or 0)

    return sorted(range(len(rows)), key=key)


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


def _figures(told: list[tuple[str, str, int]] | None) -> list[Figure] | None:
    return None if told is None else [(media, text, cell) for media, text, cell in told]


def _size(figures: Iterable[Figure]) -> int:
    return sum(len(text) for _, text, _ in figures)


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
