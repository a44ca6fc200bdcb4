"""What workers are told of the instances that must run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.staleness.decision import BUSY, Plan, mark_of


def make_jobs(call: Call, plans: Sequence[Plan], threads: int) -> dict[int, Job]:
    """One job for each plan that has a reason, by the plan's place; `threads` is what each may compute with."""
    stale = {index: plan for index, plan in enumerate(plans) if plan.reason}
    # What another process is at comes last: by then it may have ended.
    stale = dict(sorted(stale.items(), key=lambda item: item[1].busy is not None))
    git = call.project.git_state() if stale else {}
    return {index: make_job(call, plan, threads, git) for index, plan in stale.items()}


def make_job(call: Call, plan: Plan, threads: int, git: dict[str, Any]) -> Job:
    """All that a worker needs to know of one instance."""
    project, options, instance = call.project, call.options, plan.instance
    preload = project.settings.preload
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
        preload=list(preload) if preload is not None else None,
        threads=threads,
        git=git,
        force=options.force,
        planned=BUSY if plan.busy else mark_of(plan.record),
        wait=options.wait if options.wait is not None else project.settings.wait,
    )
