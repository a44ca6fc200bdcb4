"""What workers are told of the instances that must run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ductaflow_runtime.conductor.plan import Call
from ductaflow_runtime.execution.job import Job
from ductaflow_runtime.staleness.decision import BUSY, Plan, mark_of
from ductaflow_runtime.worker.import_ahead import Ahead, imports_ahead


class Jobs(Mapping[int, Job]):
    """One job for each plan that has a reason, by the plan's place; made when asked for, for there may be 100,000.

    `threads` is what each may compute with.
    """

    def __init__(self, call: Call, plans: Sequence[Plan], threads: int) -> None:
        stale = {index: plan for index, plan in enumerate(plans) if plan.reason}
        # What another process is at comes last: by then it may have ended.
        self._stale = dict(sorted(stale.items(), key=lambda item: item[1].busy is not None))
        self._call = call
        self._threads = threads
        self._git = call.project.git_state() if stale else {}
        self._ahead = ahead_of(call) if stale else Ahead()
        self._text = call.text.decode()  # one text for all the jobs
        self._id = uuid.uuid4().hex

    def __getitem__(self, index: int) -> Job:
        job = make_job(self._call, self._stale[index], self._threads, self._git, self._ahead, self._text)
        return job.but(call=self._id)

    def __iter__(self) -> Iterator[int]:
        return iter(self._stale)

    def __len__(self) -> int:
        return len(self._stale)


def ahead_of(call: Call) -> Ahead:
    """What workers import ahead: what the settings say, else what the flow's code allows."""
    project = call.project
    if project.settings.preload is not None:
        return Ahead(project.settings.preload)
    return imports_ahead(call.code.order, dict.fromkeys((call.flow.parent, project.root)))


def make_job(call: Call, plan: Plan, threads: int, git: dict[str, Any], ahead: Ahead, text: str) -> Job:
    """All that a worker needs to know of one instance."""
    project, options, instance = call.project, call.options, plan.instance
    return Job(
        root=str(project.root),
        runs_dir=str(project.runs_dir),
        flow=str(instance.flow),
        text=text,
        step=instance.step,
        name=instance.name,
        config=instance.config,
        dates=list(instance.dates),
        reason=plan.reason or "",
        timeout=options.timeout,
        max_memory=options.bytes_of_memory,
        grace=project.settings.grace,
        export_html=options.export_html,
        show_code=project.settings.code,
        copy_inputs=project.settings.copy_inputs,
        kernel_name=options.kernel_name,
        script=call.code.is_script and call.code.kernel is None,
        engine=project.settings.engine,
        shared="" if project.settings.copy_inputs or call.code.kernel is not None else call.code.shared,
        preload=list(ahead.names),
        learns=ahead.whole,
        threads=threads,
        git=git,
        force=options.force,
        planned=BUSY if plan.busy else mark_of(plan.record),
        retries=options.retries or 0,
        keep=project.settings.keep,
        keep_size=project.settings.bytes_kept,
        wait=options.wait if options.wait is not None else project.settings.wait,
    )
