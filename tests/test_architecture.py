"""The runtime's packages keep to their places: imports go down, and each library has its own room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "ductaflow_runtime"
MODULES = sorted(path for path in RUNTIME.rglob("*.py") if path.read_text(encoding="utf-8").strip())

# From the bottom up. A package imports from lower floors only, at any time: at import, inside a function, for types.
FLOORS = [
    {"errors", "files", "memory"},
    {"config", "kernel", "settings", "terminal"},
    {"project", "tables"},
    {"parameters", "runs"},
    {"flow"},
    {"staleness", "html_export", "status_page"},
    {"execution"},
    {"worker", "flow_api", "debug"},
    {"conductor"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
KERNEL_NEEDS = {"errors", "files"}  # a Jupyter kernel without sockets, which knows nothing of instances

# A library is used in the rooms that are about it, so that leaving it changes few files.
USERS = {
    "jupytext": {"flow"},
    "papermill": {"debug", "kernel", "execution", "parameters"},
    "yaml": {"config"},
    "nbclient": {"kernel", "execution"},
    "ipykernel": {"kernel"},
    "nbconvert": {"html_export"},
    "jinja2": {"html_export"},
    "pandas": {"conductor", "errors", "tables"},
    "click": {"cli"},
    "tqdm": {"conductor"},
}


@cache
def tree_of(path: Path) -> ast.Module:
    """A module's syntax."""
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    """The package, or the single module, that a file belongs to."""
    return path.relative_to(RUNTIME).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    """A module's dotted name; a package's is its folder's."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it the statement stands."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows() -> set[tuple[str, str]]:
    """Which room imports from which other."""
    found = set()
    for path in MODULES:
        for name in imports_of(path):
            package, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if package == "ductaflow_runtime" and target != room_of(path):
                found.add((room_of(path), target))
    return found


def test_every_room_has_its_floor() -> None:
    """The table names the rooms that there are, and no others."""
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(FLOOR)


def test_imports_go_down() -> None:
    """No room needs one of its own floor or above, so that there is no circle either."""
    assert sorted((user, used) for user, used in arrows() if FLOOR[used] >= FLOOR[user]) == []


def test_modules_need_each_other_in_one_direction() -> None:
    """Within a room, too, no module needs one that needs it."""
    known = {dotted(path) for path in MODULES}
    needs = {dotted(path): set(imports_of(path)) for path in MODULES}
    found = {user: {name.rpartition(".")[0] for name in names} | names for user, names in needs.items()}
    order = TopologicalSorter({user: (names & known) - {user} for user, names in found.items()})
    assert set(order.static_order()) == known  # raises CycleError


def test_the_kernel_knows_nothing_of_the_rest() -> None:
    """It could serve any program that runs cells."""
    assert {used for user, used in arrows() if user == "kernel"} <= KERNEL_NEEDS


def test_the_conductor_leaves_cells_to_the_workers() -> None:
    """Planning and collecting import nothing that runs cells."""
    assert ("conductor", "kernel") not in arrows()


@pytest.mark.parametrize("library", USERS)
def test_a_library_is_used_where_it_belongs(library: str) -> None:
    """Each library has its own rooms."""
    users = {room_of(path) for path in MODULES for name in imports_of(path) if name.partition(".")[0] == library}
    assert users <= USERS[library]


def test_no_scheduler_is_known() -> None:
    """The runtime takes any executor; Dask is nobody's dependency."""
    assert [path for path in MODULES for name in imports_of(path) if name.startswith(("dask", "distributed"))] == []
