"""The entry of a worker process, under a name that the flow's own `__main__` does not take."""

from __future__ import annotations

import contextlib
import gc
import sys
from pathlib import Path

from ductaflow_runtime.worker.watcher import ending_with, open_owner

gc.disable()  # until all is imported: it stays, and looking through it again and again takes a tenth of the time
scratch = Path(sys.argv[-1])
with contextlib.nullcontext() if "--child" in sys.argv else ending_with(open_owner(scratch), scratch):
    from ductaflow_runtime.worker.entry import main

main(sys.argv[1:])
