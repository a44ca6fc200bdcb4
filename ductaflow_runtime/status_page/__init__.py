"""The status page: `runs/index.html`, one self-contained file built from the records on disk."""

from ductaflow_runtime.status_page.build import PageWriter, write_page
from ductaflow_runtime.status_page.stale_marks import Staleness

__all__ = ["PageWriter", "Staleness", "write_page"]
