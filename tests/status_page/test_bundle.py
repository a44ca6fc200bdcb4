"""The page's modules in one script: what a module does not import it does not see."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ductaflow_runtime.status_page.bundle import Library, bundle

LIBRARIES = {"lib": Library("Lib", "var Lib = { five: 5 };")}
NUMBERS = """// Numbers.

export const ONE = 1;
const hidden = 2;
export function twice(n) {
  return n * hidden;
}
"""
MAIN = """import { Lib } from "lib";
import {
  ONE,
  twice,
} from "./numbers.js";

console.log(twice(ONE) + Lib.five, typeof hidden, typeof ONE, typeof globalThis.Lib);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_bundle_runs_and_leaves_no_globals(tmp_path: Path) -> None:
    """Modules run in the order of their imports; what they keep to themselves stays theirs."""
    script = tmp_path / "page.js"
    script.write_text(bundle({"main": MAIN, "numbers": NUMBERS}, LIBRARIES, "main"), encoding="utf-8")
    told = subprocess.run(["node", script], capture_output=True, text=True, check=True).stdout
    assert told == "7 undefined number undefined\n"


def test_each_module_is_there_once_and_after_those_it_needs() -> None:
    """Two that import the same module share it."""
    sources = {
        "main": 'import { a } from "./left.js";\nimport { b } from "./right.js";\na(b);\n',
        "left": 'import { base } from "./base.js";\nexport const a = base;\n',
        "right": 'import { base } from "./base.js";\nexport const b = base;\n',
        "base": "export const base = 0;\n",
    }
    script = bundle(sources, {}, "main")
    assert [script.count(f"const ${name} = ") for name in sources] == [1, 1, 1, 1]
    assert script.index("$base = ") < script.index("$left = ") < script.index("$right = ") < script.index("$main = ")


@pytest.mark.parametrize(
    ("main", "other", "message"),
    [
        ('import { a } from "./other.js";', 'import { b } from "./main.js";', "a circle: main -> other -> main"),
        ('import { a } from "./other.js";', "export const b = 1;", "main: other does not export a"),
        ('import { a } from "./gone.js";', "", "main: there is no module gone"),
        ('import { Bil } from "lib";', "", "main: lib does not export Bil"),
        ('import { a } from "./other.js";\nimport { b } from "./other.js";', "", "main: imports twice from other"),
        ('import * as other from "./other.js";', "", "main: cannot read 'import * as other"),
        ('import other from "./other.js";', "", "main: cannot read 'import other"),
        ("export let a = 1;", "", "main: cannot read 'export let a"),
        ("export default 1;", "", "main: cannot read 'export default"),
        ('export { a } from "./other.js";', "", "main: cannot read 'export { a }"),
        ('const a = await import("./other.js");', "", r"main: cannot read 'import\("),
        ("const a = 1;", "export const b = 1;", "nobody imports other"),
    ],
)
def test_what_cannot_be_put_together_is_refused(main: str, other: str, message: str) -> None:
    """A name that is not there, a circle, and every form that the bundle does not read."""
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        bundle({"main": main, "other": other}, LIBRARIES, "main")
