"""Code that sets what an import may read is told from code that only reads it."""

from __future__ import annotations

import ast

import pytest

from ductaflow_runtime.flow import parse
from ductaflow_runtime.import_order import SETS, import_order

SETTING = [
    'os.environ["A"] = "1"',
    'del os.environ["A"]',
    'os.environ.update(A="1")',
    'os.environ.setdefault("A", "1")',
    'os.environ.pop("A")',
    'os.environ |= {"A": "1"}',
    'environ["A"] = "1"',
    'from os import environ as e\ne["A"] = "1"',
    "e = os.environ",
    "configure(os.environ)",
    'getattr(os, "environ")["A"] = "1"',
    'patch.dict("os.environ", A="1")',
    'monkeypatch.setenv("A", "1")',
    'os.putenv("A", "1")',
    "load_dotenv()",
    "%env A=1",
    "%set_env A 1",
    "%load_ext dotenv",
    "%run other.py",
    "%matplotlib agg",
    "%%time\nos.environ['A'] = '1'",
    "%%time\nimport (",
    'matplotlib.use("Agg")',
    'import matplotlib as mpl\nmpl.use("Agg")',
    'from matplotlib import use\nuse("Agg")',
    'plt.switch_backend("Agg")',
    'matplotlib.rcParams["backend"] = "Agg"',
    'multiprocessing.set_start_method("spawn")',
    'warnings.filterwarnings("ignore")',
    'warnings.simplefilter("error")',
    "warnings.showwarning = print",
    "locale.setlocale(locale.LC_ALL, '')",
    'sys.path.insert(0, "lib")',
    "sys.path[:0] = ['lib']",
    'sys.modules["json"] = stub',
    "exec(text)",
    "importlib.import_module(name)",
    "importlib.reload(json)",
    'runpy.run_path("a.py")',
    "def later():\n    os.environ['A'] = '1'",
    "if config:\n    os.environ['A'] = '1'",
]
READING = [
    'home = os.environ["HOME"]',
    'home = os.environ.get("HOME")',
    'if "HOME" in os.environ:\n    pass',
    "names = sorted(os.environ)",
    "subprocess.run(command, env={**os.environ, 'A': '1'})",
    "subprocess.run(command, env=os.environ)",
    "copy = os.environ.copy()",
    "copy = dict(os.environ)",
    "for name in os.environ:\n    pass",
    "print([name for name in os.environ])",
    'os.getenv("HOME")',
    'sys.path.append("lib")',
    'module = sys.modules["json"]',
    "style.use('ggplot')",
    'plt.rcParams["figure.dpi"] = 100',
    "%matplotlib inline",
    "%load_ext autoreload\n%autoreload 2",
    "%%time\nx = 1",
    "%%bash\nexport A=1",
    "!export A=1",
    "frame.eval('a + b')",
]


def order(text: str) -> list[str]:
    """The order of one cell."""
    return import_order([parse(text)])


@pytest.mark.parametrize("text", SETTING)
def test_what_sets_something(text: str) -> None:
    """What is imported after it may not be imported ahead."""
    assert SETS in order(text)


@pytest.mark.parametrize("text", READING)
def test_what_only_reads(text: str) -> None:
    """It keeps nothing from being imported ahead."""
    assert SETS not in order(text)


def test_code_that_cannot_be_read() -> None:
    """A cell that is not Python may do anything."""
    assert import_order([ast.parse("import a"), None]) == ["a", SETS]


def test_the_order_is_that_of_the_text() -> None:
    """Imports that may not happen are marked."""
    text = (
        "import b.c as d, a\nfrom e import f, g\nfrom . import h\nif d:\n    import i\ndef j():\n    from k import *\n"
    )
    text += "try:\n    import l\nexcept ImportError:\n    import m\nimportlib.import_module('n')\n"
    assert order(text) == ["b.c", "a", "e:f", "e:g", ".:h", "?i", "?k:*", "l", "?m", "n"]
