"""What workers are told of the instances that must run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.staleness.decision import BUSY, Plan, mark_of
from ductaflow_runtime.staleness.why_stale import Present
from ductaflow_runtime.worker.ahead import Ahead, imports_ahead


def make_jobs(call: Call, plans: Sequence[Plan], threads: int) -> dict[int, Job]:
    """One job for each plan that has a reason, by the plan's place; `threads` is what each may compute with."""
    stale = {index: plan for index, plan in enumerate(plans) if plan.reason}
    if not stale:
        return {}
    # What another process is at comes last: by then it may have ended.
    stale = dict(sorted(stale.items(), key=lambda item: item[1].busy is not None))
    git, ahead = call.project.git_state(), ahead_of(call)
    return {index: make_job(call, plan, threads, git, ahead) for index, plan in stale.items()}


def ahead_of(call: Call) -> Ahead:
    """What workers import ahead: what the settings say, else what the flow's code allows."""
    project = call.project
    if project.settings.preload is not None:
        return Ahead(project.settings.preload)
    order = Present(project).code(call.flow).order
    return imports_ahead(order, dict.fromkeys((call.flow.parent, project.root)))


def make_job(call: Call, plan: Plan, threads: int, git: dict[str, Any], ahead: Ahead) -> Job:
    """All that a worker needs to know of one instance."""
    project, options, instance = call.project, call.options, plan.instance
    return Job(
        root=str(project.root),
        runs_dir=str(project.runs_dir),
        flow=str(instance.flow),
        step=instance.step,
        name=instance.name,
        config=instance.config,
        reason=plan.reason or "",
        timeout=options.timeout,
        export_html=options.export_html,
        show_code=project.settings.code,
        copy_inputs=project.settings.copy_inputs,
        kernel_name=options.kernel_name,
        engine=project.settings.engine,
        preload=list(ahead.names),
        learns=ahead.whole,
        threads=threads,
        git=git,
        force=options.force,
        planned=BUSY if plan.busy else mark_of(plan.record),
        wait=options.wait if options.wait is not None else project.settings.wait,
    )
