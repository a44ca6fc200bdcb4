"""The status page: `runs/index.html`, one self-contained file built from the records on disk."""

from ductaflow_runtime.page.build import PageWriter, write_page

__all__ = ["PageWriter", "write_page"]
