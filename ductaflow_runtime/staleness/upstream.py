"""Which instances rest on results that are themselves not up to date, however many steps lie between.

That is no reason to execute them: the files that they read are still the ones that are there. The earlier step has to
run first; only then can anybody tell. It only reads.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ductaflow_runtime.runs.control import not_in_control
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.inventory import Above, Found, examine
from ductaflow_runtime.staleness.present import Present

_Place = tuple[str, str]  # step and name


@dataclass
class _Graph:
    """Who has read whom. `ran` are pairs of an instance and one that it ran itself: what changes there is its own."""

    nodes: dict[_Place, Found] = field(default_factory=dict)
    reads: dict[_Place, list[_Place]] = field(default_factory=dict)
    ran: set[tuple[_Place, _Place]] = field(default_factory=set)


def rest_on(found: Sequence[Found], present: Present) -> list[Found]:
    """The same instances, each with what it has read that is not up to date, or has lost its row, if anything is so."""
    graph = _gather(found, present)
    rowless = {(step, name) for step in {step for step, _ in graph.nodes} for name in _rowless(present, step)}
    roots = _roots(graph, rowless)
    return [replace(one, above=_told(graph, _place(one), roots, rowless)) for one in found]


def _gather(found: Sequence[Found], present: Present) -> _Graph:
    graph = _Graph({_place(one): one for one in found})
    waiting = deque(graph.nodes)
    while waiting:
        place = waiting.popleft()
        graph.reads[place] = []
        for read, itself in _read_by(graph.nodes[place], present).items():
            if read not in graph.nodes:
                (graph.nodes[read],) = examine(present, read[0], [read[1]])
                waiting.append(read)
            graph.reads[place].append(read)
            if itself:
                graph.ran.add((place, read))
    return graph


def _place(one: Found) -> _Place:
    return one.instance.step, one.instance.name


def _read_by(one: Found, present: Present) -> dict[_Place, bool]:
    """The other instances whose files an execution has read, and whether it ran them itself."""
    was = one.record.fingerprint if one.record is not None else None
    read: dict[_Place, bool] = {}
    start = f"{present.results}/"
    for path, stored in (was.inputs if was is not None else {}).items():
        parts = path.removeprefix(start).split("/", 2) if path.startswith(start) else []
        if len(parts) == 3 and parts[0] and parts[1] and not parts[0].startswith("."):
            place = parts[0], parts[1]
            read[place] = read.get(place, False) or "instance" in stored
    read.pop(_place(one), None)
    return read


def _rowless(present: Present, step: str) -> list[str]:
    return not_in_control(present.project.runs_dir, step)


def _is_outdated(one: Found) -> bool:
    """Whether an execution could give another result than the one that is there, or is under way.

    One that has failed gives none; whoever read that it failed has read what still holds. A folder that nothing has
    executed is its owner's.
    """
    if one.state is Status.DAMAGED:
        return one.reason is not None and one.reason.startswith("record damaged")
    return one.record is not None and one.reason not in (None, str(Status.FAILED))


def _roots(graph: _Graph, rowless: set[_Place]) -> dict[_Place, _Place]:
    """Of each instance that is not up to date, or rests on one that is not, the one where that begins."""
    readers: dict[_Place, list[_Place]] = defaultdict(list)
    for place, reads in graph.reads.items():
        for read in reads:
            readers[read].append(place)
    begin = [place for place, one in graph.nodes.items() if _is_outdated(one)]
    roots = {place: place for place in begin}
    waiting = deque([(place, place) for place in begin])
    waiting.extend((place, place) for place in sorted(rowless) if place in readers and place not in roots)
    while waiting:
        place, root = waiting.popleft()
        for reader in readers[place]:
            by_itself = place in rowless and place not in roots and (reader, place) in graph.ran
            if reader not in roots and not by_itself:
                roots[reader] = root
                waiting.append((reader, root))
    return roots


def _told(graph: _Graph, place: _Place, roots: Mapping[_Place, _Place], rowless: set[_Place]) -> Above | None:
    lost: dict[str, list[_Place]] = defaultdict(list)
    outdated: dict[str, list[_Place]] = defaultdict(list)
    for read in graph.reads[place]:
        itself = (place, read) in graph.ran
        if read in rowless and not itself:
            lost[read[0]].append(read)
        elif read in roots and not (itself and roots[read] == read):  # then its own reason says so
            outdated[read[0]].append(read)
    causes = [_outdated_cause(graph, step, read, roots) for step, read in outdated.items()]
    causes += [_cause(step, read, "has no row", "have no row") for step, read in lost.items()]
    if not causes:
        return None
    text, kind = ("; ".join(texts) for texts in zip(*causes, strict=True))
    steps = {*lost, *(roots[read[0]][0] for read in outdated.values())}
    only = all(
        roots[each] in rowless and not _is_outdated(graph.nodes[roots[each]]) for each in chain(*outdated.values())
    )
    return Above(text, kind, tuple(sorted(steps)) if only else ())


def _outdated_cause(
    graph: _Graph, step: str, read: Sequence[_Place], roots: Mapping[_Place, _Place]
) -> tuple[str, str]:
    root = roots[read[0]]
    reason = graph.nodes[root].reason if _is_outdated(graph.nodes[root]) else None
    why = "has no row" if reason is None else f"is not up to date: {reason}"
    if root != read[0]:
        why = f"rests on {'/'.join(root)}, which {why}"
    return _cause(step, read, why, "are not up to date")


def _cause(step: str, read: Sequence[_Place], one: str, several: str) -> tuple[str, str]:
    """The cause, and the same without the name of the one that was read."""
    if len(read) > 1:
        text = f"reads {len(read)} instances of {step} that {several}"
        return text, text
    return f"reads {'/'.join(read[0])}, which {one}", f"reads an instance of {step} that {one}"
