"""The `inputs` part of a fingerprint: what was in each file and folder when an execution first looked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ductaflow_runtime.files import FileState, Stat, hash_names, is_recent, relative_to_root, stat_file
from ductaflow_runtime.runs.contents import Contents
from ductaflow_runtime.runs.record import FILE_NAME
from ductaflow_runtime.staleness.tracking import Tracker


def fingerprint_inputs(tracker: Tracker, modules: Iterable[str], contents: Contents) -> dict[str, FileState]:
    """The `inputs` part: project-relative path -> what was there when the execution first looked."""
    skip = set(modules)
    inputs: dict[str, FileState] = {}
    root = Path(tracker.root)
    for path, before in sorted(tracker.files.items()):
        if path in skip:
            continue
        inputs[relative_to_root(path, root)] = describe_input(path, before, contents)
    for path, digests in sorted(tracker.instances.items()):
        told: FileState = {"instance": next(iter(digests))} if len(digests) == 1 else {"changed": True}
        inputs[relative_to_root(path, root)] = told
    for path, names in sorted(tracker.folders.items()):
        listed: FileState = {"names": names}
        if hash_names(path) != names:
            listed["changed"] = True
        inputs[relative_to_root(path, root).rstrip("/") + "/"] = listed
    return inputs


def describe_input(path: str, before: Stat | None, contents: Contents) -> FileState:
    """What a file holds, compared with `before`, its state when the execution first looked.

    `{size, sha256, mtime_ns}`, of a record `{record}`; `{missing}` if there was none, `{changed}` if it
    changed meanwhile.
    """
    if before is not None and os.path.basename(path) == FILE_NAME:
        told = contents.record(path)
        if told is not None:
            return {"record": told} if stat_file(path) == before else {"changed": True}
    after = stat_file(path)
    if before is None:
        return {"changed": True} if after is not None else {"missing": True}
    if after != before:
        return {"changed": True}
    digest = contents.sha256(path)
    if stat_file(path) != before:
        return {"changed": True}
    reliable = None if is_recent(before.mtime_ns) else before.mtime_ns
    return {"size": before.size, "sha256": digest, "mtime_ns": reliable}
