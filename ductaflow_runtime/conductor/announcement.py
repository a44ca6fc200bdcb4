"""The line that a sweep begins with: what will run and why, readable for any mixture of reasons.

Rows with the same kind of reason are counted together, values or not; there is as much detail as a line has room for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.config.dotted import flatten
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import BUSY, FORCED, NO_NOTEBOOK, Plan

_MOST_GROUPS = 3
_ROOM = 160
_LONGEST = 60
BACK = "brought back (computed before)"
_WITH_KEYS = ("config", "default")
_WITH_PATHS = ("input", "input missing", "instance", "output missing", "output changed")
_WITHOUT_PLACE = ("new", "failed", "interrupted", FORCED, NO_NOTEBOOK, "record has no fingerprint", "and more", "code")
_HEAD = re.compile(
    "(flow|config|kernel|code|default|parameters|module|module deleted|input|input missing|instance|package"
    "|output missing|output changed|record damaged): "
)


@dataclass(frozen=True)
class Cause:
    """One cause in a reason: `config: year 2020 -> 2021` is of `head` config and `about` year."""

    text: str
    head: str = ""
    about: str = ""

    @property
    def kinds(self) -> tuple[str, str, str]:
        """What it has in common with others, from nothing left out to what it is all about."""
        folder = "/".join(self.about.split("/")[:-1][:2]) + "/" if "/" in self.about else self.about
        return self.text, self.about, folder if self.head in _WITH_PATHS else self.about


@dataclass
class Group:
    """Rows whose reasons are of one kind: for each cause, how it reads in these rows."""

    causes: list[dict[Cause, None]]
    rows: int = 0

    def add(self, causes: Sequence[Cause], rows: int) -> None:
        """Count more rows."""
        self.rows += rows
        for known, cause in zip(self.causes, causes, strict=True):
            known[cause] = None

    def told(self, most_causes: int, values: bool) -> str:
        """Why the rows run; `values`: with what the causes say beyond what they are about."""
        heads: dict[str, list[str]] = {}
        for known in self.causes[:most_causes]:
            heads.setdefault(next(iter(known)).head, []).append(_told_cause(list(known), values))
        parts = [f"{head}: {', '.join(told)}" if head else "; ".join(told) for head, told in heads.items()]
        more = len(self.causes) - most_causes
        return "; ".join(parts) + (f" and {more} more" if more > 0 else "")


def announce(step: str, plans: Sequence[Plan], refreshed: int = 0) -> str:
    """One line that says what will run and why, the commonest reasons first, and what need not run."""
    counts = Counter(plan.reason for plan in plans)
    waiting = [plan for plan in plans if plan.waits]
    back = sum(plan.back is not None for plan in plans)
    idle, busy = counts.pop(None, 0) - refreshed - len(waiting) - back, counts.pop(BUSY, 0)
    parts = [f"{len(waiting)} may run ({_waits_of(waiting)})"] if waiting else []
    parts += [f"{count} {what}" for count, what in ((busy, BUSY), (back, BACK), (refreshed, Status.REFRESHED)) if count]
    if idle or not refreshed + back:
        parts.append(f"{idle} {Status.UP_TO_DATE}")
    return ", ".join([f"{step}: {counts.total()} to run{why(plans)}", *parts])


def _waits_of(waiting: Sequence[Plan]) -> str:
    """What plans wait for: steps, and files that the conductor itself writes."""
    found = dict.fromkeys(each for plan in waiting for each in plan.waits)
    files = [Path(each).name for each in found if Path(each).is_absolute()]
    steps = list(dict.fromkeys(each.partition("/")[0] for each in found if not Path(each).is_absolute()))
    told = [f"results of {some(steps, 3)}"] * bool(steps) + [f"{some(files, 3)} of the conductor"] * bool(files)
    reads = "it reads" if len(waiting) == 1 else "they read"
    return f"{reads} {' and '.join(told)}, made anew before"


def why(plans: Iterable[Plan]) -> str:
    """The reasons of those that must run, in brackets; nothing if none must."""
    reasons = _reasons(plans)
    text = ""
    for level, most_causes, values in ((0, 3, True), (0, 3, False), (0, 1, False), (1, 1, False), (2, 1, False)):
        groups = sorted(_groups(reasons, level), key=lambda group: -group.rows)
        shown = groups if len(groups) <= _MOST_GROUPS + 1 else groups[:_MOST_GROUPS]
        rest = sum(group.rows for group in groups[len(shown) :])
        others = [f"{rest} for other reasons"] if rest else []
        rows: Counter[str] = Counter()
        for group in shown:  # what differs may be what there is no room for
            rows[group.told(most_causes, values)] += group.rows
        text = " | ".join([*(f"{count} {told}" for told, count in rows.items()), *others])
        if len(text) <= _ROOM:
            break
    return f" ({text})" if text else ""


def _reasons(plans: Iterable[Plan]) -> list[tuple[list[Cause], int]]:
    """The causes in each reason, and how many rows have it."""
    counts: dict[str, int] = {}
    keys: dict[str, Plan] = {}
    for plan in plans:
        if plan.reason and plan.reason != BUSY:
            counts[plan.reason] = counts.get(plan.reason, 0) + 1
            keys.setdefault(plan.reason, plan)
    return [(causes_in(reason, flatten(keys[reason].instance.config)), rows) for reason, rows in counts.items()]


def _groups(reasons: Sequence[tuple[list[Cause], int]], least: int) -> list[Group]:
    """As few as a line has room for: rows with the same reason, else with the same kind of reason.

    `least` is what is left out of their causes at least, of nothing, values and files.
    """
    groups: dict[tuple[tuple[str, str], ...], Group] = {}
    for level in range(least, 3):
        groups = {}
        for causes, rows in reasons:
            kind = tuple((cause.head, cause.kinds[level]) for cause in causes)
            groups.setdefault(kind, Group([{} for _ in causes])).add(causes, rows)
        if len(groups) <= _MOST_GROUPS + 1:
            break
    return list(groups.values())


def causes_in(reason: str, keys: Iterable[str] = ()) -> list[Cause]:
    """The causes that a reason lists; `keys` are those of the row's config, which may hold anything."""
    texts: list[str] = []
    for part in reason.split("; "):
        if texts and not _HEAD.match(part) and part not in _WITHOUT_PLACE:
            texts[-1] += f"; {part}"  # of a value
        else:
            texts.append(part)
    return [_cause(text, keys) for text in texts]


def _cause(text: str, keys: Iterable[str]) -> Cause:
    found = _HEAD.match(text)
    if found is None:
        return Cause(text, about=text)
    head, rest = found[1], text[found.end() :]
    if head == "record damaged":  # without the folder, for which there is no room
        return Cause(rest[rest.find(f"/{FILE_NAME}") + 1 :], head, FILE_NAME)
    if head in _WITH_KEYS:
        known = [key for key in keys if rest.startswith(f"{key} ")]
        return Cause(rest, head, max(known, key=len) if known else rest.partition(" ")[0])
    return Cause(rest, head, rest.partition(" ")[0] if head == "package" else rest.partition(" (")[0])


def _told_cause(alike: Sequence[Cause], values: bool) -> str:
    cause = alike[0]
    if len(alike) == 1:
        return _shorten(cause.text if values and len(cause.text) <= _LONGEST else cause.about)
    if len({each.about for each in alike}) > 1:
        return f"{_shorten(cause.kinds[-1])} (different files)"
    return f"{_shorten(cause.about)} (different {'values' if cause.head in _WITH_KEYS else 'changes'})"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
