"""The finder of keys that nobody reads: it never refuses a key that the flow, when it runs, is seen to read."""

from __future__ import annotations

import copy
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ductaflow_runtime.parameters.expected import expect
from ductaflow_runtime.parameters.gate import examine
from tests.parameters.flows import keys_of

KEYS = ["toll", "year", "speed"]
# Ways to read `{0}` of an object `{1}`, or all of its keys.
WAYS = [
    "{1}['{0}']",
    "{1}.get('{0}')",
    "{1}.get('{0}', 5)",
    "copy.copy({1}).pop('{0}', None)",
    "{1}.setdefault('{0}', 1)",
    "'{0}' in {1} and {1}['{0}']",
    "dict({1})['{0}']",
    "{{**{1}}}['{0}']",
    "({1} | {{}})['{0}']",
    "(lambda given: given['{0}'])({1})",
    "[each for each in {1} if {1}[each]]",
    "list({1}.values())",
    "[value for _, value in {1}.items()]",
    "{1}['{0}'.lower()]",
    "{1}['{0}'[:2] + '{0}'[2:]]",
    "operator.itemgetter('{0}')({1})",
    "getattr({1}, 'get')('{0}')",
    "copy.copy({1})['{0}']",
    "copy.deepcopy({1}).get('{0}')",
    "json.loads(json.dumps({1}))['{0}']",
    "(lambda **given: given.get('{0}'))(**{1})",
    "read({1}, '{0}')",
    "Holder({1}).given['{0}']",
    "Holder({1}).read('{0}')",
    "eval('{1}[\"{0}\"]')",
    "'%({0})s' % {1}",
    "'{{{0}}}'.format(**{1})",
    "'{{0[{0}]}}'.format({1})",
    "next(iter([{1}]))['{0}']",
    "(given := {1})['{0}']",
    "globals()['{1}']['{0}'] if '{1}' in globals() else {1}['{0}']",
]
HEAD = """\
# %% tags=["parameters"]
config = {}

# %%
import copy
import json
import operator


def read(given, name):
    return given[name]


class Holder:
    def __init__(self, given):
        self.given = given

    def read(self, name):
        return self.given[name]


# %%
"""
PLACES = [("config", ""), ("config['fare']", "fare."), ("config.get('fare', {})", "fare.")]
ALIASES = ["{1}", "part = {1}\npart", "part, _ = {1}, 0\npart", "for part in [{1}]:\n    pass\npart"]


CONFIG = dict.fromkeys(KEYS, 1) | {"fare": dict.fromkeys(KEYS, 2)}


@st.composite
def flows(draw: st.DrawFn) -> tuple[str, set[str]]:
    """A flow that reads some keys in some ways, of the config or of an object in it; and those keys, dotted."""
    lines, read = [], set()
    for number in range(draw(st.integers(1, 4))):
        where, above = draw(st.sampled_from(PLACES))
        way, key = draw(st.sampled_from(WAYS)), draw(st.sampled_from(KEYS))
        *before, place = draw(st.sampled_from(ALIASES)).format("", where).rsplit("\n", 1)
        if "eval" in way or "globals" in way:  # these take a name
            before, place = [f"whole{number} = {where}"], f"whole{number}"
        lines += [*before, f"found{number} = {way.format(key, place)}"]
        read.add(above + key)
    return HEAD + "\n".join(lines) + "\n", read


@given(flows())
def test_what_is_read_is_never_refused(flow: tuple[str, set[str]]) -> None:
    """A flow that runs with a value for each key is not told that one which it reads is unknown."""
    text, read = flow
    below = text.partition("config = {}\n")[2]
    exec(compile(below, "flow.py", "exec"), {"config": copy.deepcopy(CONFIG), "__name__": "flow"})
    expected = expect(Path("flow.py"), Path(), keys_of(text), default_config=None, base=None, unknown_keys="error")
    refused = {finding.text.split("`")[1] for finding in examine(expected, CONFIG) if finding.certain}
    assert refused.isdisjoint(read | ({"fare"} if any("." in key for key in read) else set())), text
