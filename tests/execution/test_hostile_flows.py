"""Flows that change the process they run in: a failed record in words about the flow, and the other rows are done."""

from __future__ import annotations

import os

import pandas as pd

from ductaflow import run_instances
from tests.conftest import Project

BODIES = {
    "pass": None,
    "os.closerange(0, 1000)": "the flow closed descriptors that are not its own",
    "builtins.open = bad": "has the flow changed what all code in its process uses, such as json, open or os?",
    "os.replace = bad": "has the flow changed what all code in its process uses, such as json, open or os?",
    "json.dumps = json.loads = bad": "the process ended with exit code 1 before the flow did",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))": "Too many open files",
    "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))": "before the flow did",
    "os._exit(0)": "the process ended with exit code 0 before the flow did",
    "os.chdir('/')": None,
    "print('still there')": None,
    "os.kill(os.getpid(), 9)": "the process was killed by SIGKILL",
    "ctypes.string_at(0)": "the process was killed by SIGSEGV",
    "os.killpg(0, signal.SIGKILL)": "the process was killed by SIGKILL",
    "os.execv('/bin/false', ['false'])": "the process ended with exit code 1 before the flow did",
    "ctypes.CDLL(None).exit(0)": "the process ended with exit code 0 before the flow did",
    "threading.Thread(target=os._exit, args=(3,)).start(); time.sleep(9)": "exit code 3 before the flow did",
    "signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(9)": "the process was killed by SIGALRM",
    "sys.exit('no licence')": "SystemExit: no licence",
    "raise BaseException('base')": "BaseException: base",
    "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()": "division by zero",
    "raise KeyboardInterrupt": "interrupted before it ended",
    "raise Exception('\\ud800')": "Exception: ",
    "resource.setrlimit(resource.RLIMIT_AS, (1, 1)); bytearray(10**8)": "MemoryError",
    "sys.modules.clear()": "(outside the flow; has the flow changed",
    "builtins.__import__ = bad": "RuntimeError: patched",
    "builtins.isinstance = bad": "before the flow did",
    "time.monotonic = bad": "RuntimeError: patched",
    "os.rename = os.unlink = bad": "RuntimeError: patched",
    "os.write = bad": "RuntimeError: patched",
    "sys.settrace(bad)": "RuntimeError: patched",
    "os.chroot('/proc')": "No such file or directory" if os.geteuid() == 0 else "not permitted",
    "sys.stdout.close()": None,
    "sys.stdout = sys.stderr = None": None,
    "sys.setrecursionlimit(60)": None,
    "os.environ.clear()": None,
    "tempfile.tempdir = '/nonexistent'": None,
    "get_ipython().run_line_magic('reset', '-f')": None,
    "get_ipython().kernel.do_shutdown(False)": None,
    "atexit.register(bad)": None,
    "sys.path.clear(); sys.meta_path.clear()": None,
    "os.umask(0o777); open('x.txt', 'w').close()": None,
    "os.chmod('.', 0)": None,
    "os.symlink('x', 'x'); os.mkfifo('p'); open(b'\\xff', 'w').close()": None,
    "os.fork()": None,
}


def test_each_is_told_and_costs_no_other_row(project: Project) -> None:
    """Nothing of the runtime's insides is in the message: no temporary file, no module of its own."""
    choices = "\n".join(f"    elif config['n'] == {number}:\n        {body}" for number, body in enumerate(BODIES))
    project.flow(
        "import atexit, builtins, ctypes, json, os, resource, signal, sys, tempfile, threading, time\n\n"
        "def bad(*_, **__):\n    raise RuntimeError('patched')\n\n"
        f"if True:\n    if config['n'] < 0:\n        pass\n{choices}\n"
    )
    rows = pd.DataFrame({"instance_name": [f"r{number}" for number in range(len(BODIES))], "n": range(len(BODIES))})
    frame = run_instances(rows, "flow/step.py", workers=2, on_error="continue")
    for error, (body, wanted) in zip(frame["error"], BODIES.items(), strict=True):
        assert (error is None) == (wanted is None), (body, error)
        assert wanted is None or wanted in error, (body, error)
        assert error is None or not any(word in error for word in (".tmp", "ductaflow", "journal")), (body, error)
    again = run_instances(rows.assign(n=0), "flow/step.py", workers=2)
    assert set(again["status"]) == {"done", "up to date"}
