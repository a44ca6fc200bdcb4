"""What became of a row of a control dataframe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ductaflow_runtime.project import Project
from ductaflow_runtime.runs.failure import Failure
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.record import Record
from ductaflow_runtime.runs.states import Status


@dataclass(frozen=True)
class Outcome:
    """`status` says what this call did about a row; `record` is what its instance's folder says.

    There is no `record` of a row that was not run. If that is a failure, `failure` says why.
    """

    status: Status
    instance: Instance
    reason: str | None = None
    record: Record | None = None
    failure: Failure | None = None

    @property
    def directory(self) -> Path:
        """The instance's folder."""
        return self.instance.directory

    @property
    def error(self) -> Failure | None:
        """Why it failed."""
        return self.failure if self.record is None else self.record.error

    def as_record(self, project: Project) -> Record:
        """The record; for an error about a row that has none, what a record would say, with the status `not run`."""
        if self.record is not None:
            return self.record
        return Record(
            flow=project.relative(self.instance.flow),
            step=self.instance.step,
            instance_name=self.instance.name,
            status=Status.NOT_RUN,
            reason=self.reason,
            error=self.failure,
            directory=self.directory,
        )
