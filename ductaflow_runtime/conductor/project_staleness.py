"""What is no longer up to date in a whole project, for its status page."""

from __future__ import annotations

from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.instance import list_steps
from ductaflow_runtime.runs.record import now
from ductaflow_runtime.staleness.inventory import examine
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.upstream import rest_on
from ductaflow_runtime.status_page.stale_marks import Staleness


def staleness_of(project: Project) -> Staleness:
    """Why instances of any step are not up to date; what is executed from this moment on does not count."""
    at = now()
    present = Present(project)
    found = [one for step in list_steps(project.runs_dir) for one in examine(present, step)]
    found = rest_on(found, present)
    return Staleness({(one.instance.step, one.instance.name): one.stale for one in found if one.stale}, at)
