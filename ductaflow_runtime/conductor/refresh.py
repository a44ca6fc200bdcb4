"""An instance that need not run: bring its stored notebook's text up to date around the existing outputs.

Nobody's row depends on that, so what cannot be refreshed is left as it is, with a line that says so.
"""

from __future__ import annotations

import os
from dataclasses import replace

from ductaflow_runtime.conductor.outcome import Outcome
from ductaflow_runtime.errors import InstanceBusyError
from ductaflow_runtime.flow.notebook import read_executed, read_notebook, refreshed, save_notebook
from ductaflow_runtime.runs.fingerprint import CodeState, Fingerprint
from ductaflow_runtime.runs.instance import Instance
from ductaflow_runtime.runs.look import held
from ductaflow_runtime.runs.record import Record, write_record
from ductaflow_runtime.runs.states import Status
from ductaflow_runtime.staleness.decision import Plan
from ductaflow_runtime.staleness.present import Present
from ductaflow_runtime.staleness.take_fingerprint import code_state
from ductaflow_runtime.terminal import say

_LONGEST = 120


def refresh(plan: Plan, record: Record, present: Present, html: bool) -> Outcome:
    """Execute nothing; rewrite the notebook if only its text changed, make a page that is missing."""
    changed, has_page, instance = plan.only_text_changed, os.path.isfile(record.html), plan.instance
    renewed = False
    if changed or (html and not has_page):
        try:
            with held(instance.directory, record) as whole:
                if changed:
                    code = code_state(present.code(instance.flow))
                    record = _refresh_notebook(instance, whole, code, present.texts[instance.flow])
                    renewed = True
                if os.path.isfile(record.notebook) and (html or has_page):
                    _make_page(record, present.project.settings.code)
        except InstanceBusyError:
            pass  # whoever has it refreshes it too
        except Exception as error:  # noqa: BLE001 - the files may have been edited in any way
            _tell(instance, "HTML page" if renewed or not changed else "stored notebook", error)
    return Outcome(Status.REFRESHED if renewed else Status.UP_TO_DATE, instance, record=record.but(skipped=True))


def _tell(instance: Instance, what: str, error: Exception) -> None:
    cause = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    say(
        f"ductaflow: {instance.step}/{instance.name} is up to date, but its {what} could not be renewed ({cause}) "
        "and stays as it is; run it with force=True to have a new one"
    )


def _refresh_notebook(instance: Instance, record: Record, code: CodeState, text: bytes) -> Record:
    if os.path.isfile(record.notebook):
        flow = read_notebook(instance.flow, text)
        save_notebook(refreshed(read_executed(record.notebook), flow), record.notebook, durably=True)
    record = record.but(fingerprint=replace(record.fingerprint or Fingerprint(), code=code))
    write_record(record, durably=True)
    return record


def _make_page(record: Record, show_code: bool) -> None:
    from ductaflow_runtime.html_export.export import export_page

    export_page(read_executed(record.notebook), record.html, show_code=show_code)
