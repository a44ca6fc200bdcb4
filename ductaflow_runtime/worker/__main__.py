"""The entry of a worker process, under a name that the flow's own `__main__` does not take."""

from __future__ import annotations

import sys

from ductaflow_runtime.worker.entry import main

main(sys.argv[1:])
