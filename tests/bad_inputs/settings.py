"""The table [tool.ductaflow] in pyproject.toml."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section

PLAN = 'plan_instances(rows, "flow/toll.py")'


def setting(line: str) -> Bad:
    """One wrong setting."""
    return Bad(PLAN, {"pyproject.toml": f"[tool.ductaflow]\n{line}\n"})


SETTINGS = (
    setting("worker = 4"),
    setting('workers = "all"'),
    setting("workers = 0"),
    setting("timeout = inf"),
    setting('timeout = "10 min"'),
    setting('max_memory = "lots"'),
    setting("wait = -1"),
    setting("grace = nan"),
    setting("retries = 0.5"),
    setting("keep = -1"),
    setting('keep_size = "a lot"'),
    setting('export_html = "yes"'),
    setting("page = 1"),
    setting('runs_dir = ""'),
    setting("runs_dir = 5"),
    setting('runs_dir = "runs\\u0000"'),
    setting('preload = "numpy"'),
    setting('ignore = [""]'),
    setting('unknown_keys = "off"'),
    setting('engine = "thread"'),
    Bad(PLAN, {"pyproject.toml": "tool = 5\n"}),
    Bad(PLAN, {"pyproject.toml": '[tool]\nductaflow = "fast"\n'}),
    Bad(PLAN, {"pyproject.toml": "[tool.ductaflow\nworkers = 4\n"}),
    Bad(PLAN, {"pyproject.toml": b"[project]\nname = '\xff'\n"}),
    Bad(
        PLAN,
        {"pyproject.toml": "<<<<<<< before updating\nworkers = 2\n=======\nworkers = 4\n>>>>>>> after updating\n"},
    ),
    Bad(f'Path("pyproject.toml").write_text("x = " + "[" * 100_000)\n{PLAN}'),
)
SECTIONS = (Section("Settings", SETTINGS),)
