"""What papermill imports for addresses in the web is not loaded before a flow wants it, and is the real thing then."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from ductaflow_runtime.kernel.papermill_import import import_papermill
import_papermill()
print(sorted({"papermill", "requests", "pyarrow", "pyarrow.fs"} & set(sys.modules)))
import papermill.iorw
import requests
print(requests.get is not papermill.iorw.requests.get)
try:
    papermill.iorw.HttpHandler.read("nonsense")
except requests.exceptions.MissingSchema as error:
    print(type(error).__name__)
"""


@pytest.mark.slow
def test_packages_for_addresses_are_imported_when_they_are_used() -> None:
    """Neither is there after papermill's import; a flow's own import finds the package itself, papermill's use too."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["['papermill']", "True", "MissingSchema"]
