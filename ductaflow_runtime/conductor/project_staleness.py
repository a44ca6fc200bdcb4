"""What is no longer up to date in a whole project, for its status page."""

from __future__ import annotations

from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.control import not_in_control
from ductaflow_runtime.runs.instance import list_steps
from ductaflow_runtime.runs.record import now
from ductaflow_runtime.staleness.inventory import examine
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.upstream import rest_on
from ductaflow_runtime.status_page.stale_marks import Staleness


def staleness_of(project: Project) -> Staleness:
    """Why instances of any step are not up to date, and which have lost their row, at this moment.

    What is executed from this moment on does not count.
    """
    at = now()
    present = Present(project)
    steps = list_steps(project.runs_dir)
    found = rest_on([one for step in steps for one in examine(present, step)], present)
    rowless = frozenset((step, name) for step in steps for name in not_in_control(project.runs_dir, step))
    return Staleness({(one.instance.step, one.instance.name): one.stale for one in found if one.stale}, at, rowless)
