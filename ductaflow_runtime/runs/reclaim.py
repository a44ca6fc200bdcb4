"""An instance's folder, and the runtime's names in it, taken back from whatever else a flow or a person has put there.

A pipe under the name of a log is waited for without end, and a link leads what is written out of the folder. So where
a file of the runtime belongs is a file of its own in the folder that was locked, or what is there is moved away. It
goes to `runs/.ductaflow/edited/`: nothing is deleted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from ductaflow_runtime.runs.failure import Failure, folder_removed, folder_replaced, names_taken
from ductaflow_runtime.runs.folder import open_folder
from ductaflow_runtime.runs.instance import Instance, written_by_runtime
from ductaflow_runtime.runs.lock import hold_again, is_replaced
from ductaflow_runtime.runs.previous import Edited

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def reclaim(instance: Instance, flow_stem: str) -> Failure | None:
    """Have folder and names as an execution needs them; gives what the flow did to them, if it did."""
    problem = _reclaim_folder(instance)
    taken = move_away(instance, written_by_runtime(flow_stem))
    return problem or (names_taken(taken) if taken else None)


def move_away(instance: Instance, names: Iterable[str]) -> list[str]:
    """Move away what is no file under these names of the instance's folder; gives each with what was there."""
    with open_folder(instance.directory) as folder, Edited(instance) as edited:
        kinds = {name: folder.kind(name) for name in sorted(names)}
        taken = {name: kind for name, kind in kinds.items() if kind not in (None, stat.S_IFREG)}
        for name in taken:
            edited.move(folder, name)
    return [f"{name} ({_KINDS.get(kind or 0, 'no file')})" for name, kind in taken.items()]


def _reclaim_folder(instance: Instance) -> Failure | None:
    directory = instance.directory
    if not os.path.lexists(directory):
        directory.mkdir(parents=True)
        hold_again(directory)
        return folder_removed()
    if not is_replaced(directory):
        return None
    if directory.is_symlink() or not directory.is_dir():
        with open_folder(directory.parent) as step, Edited(instance) as edited:
            edited.move(step, directory.name)
        directory.mkdir()
    hold_again(directory)
    return folder_replaced()
