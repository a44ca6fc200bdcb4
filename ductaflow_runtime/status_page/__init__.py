"""The status page: `runs/index.html`, one self-contained file built from the records on disk."""

from ductaflow_runtime.status_page.build import PageWriter, write_page

__all__ = ["PageWriter", "write_page"]
