"""Whatever a flow does with its config, a key that it may come to read is not refused.

Each line lets the whole config, or an object in it, out of sight in another way.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parameters.flows import body, problems

WHOLE = [
    "with open('x') as f:\n    pass\nwith contextlib.nullcontext(config) as c:\n    for k in c: pass",
    "c, d = config, 1\nfor k in c: print(k)",
    "def f():\n    c = config\n    def g():\n        return [c[k] for k in c]\n    return g\nf()()",
    "class A:\n    c = config\nfor k in A.c: print(k)",
    "f(*[config])",
    "def g():\n    yield config\nfor c in g():\n    for k in c: print(k)",
    "@d\ndef g():\n    return config\nfor k in g(): print(k)",
    "def g():\n    return config\nh = g\nfor k in h(): print(k)",
    "def g(c):\n    return c\nfor k in g(config): print(k)",
    "def g(a, *, c):\n    return list(c)\ng(1, c=config)",
    "def g(*cs):\n    return [list(c) for c in cs]\ng(config)",
    "def g(**cs):\n    return [list(c) for c in cs.values()]\ng(x=config)",
    "import functools\nfunctools.partial(print, config)",
    "f = lambda c=config: list(c)",
    "f = lambda k: config[k]",
    "f = lambda: config\nfor k in f(): print(k)",
    "for k in (config if x else {}): print(k)",
    "print(sorted(config))",
    "print(list(config))",
    "print(config.keys() & {'b'})",
    "d = {k: v for k, v in config.items()}",
    "g = config.get\nprint(g('ab'[0]))",
    "print(getattr(config, 'items')())",
    "import operator\nprint(operator.getitem(config, 'ab'[0]))",
    "print('{a}'.format(**config))",
    "print('{a}'.format_map(config))",
    "print('%(a)s' % config)",
    "from string import Template\nprint(Template('$a').substitute(config))",
    "from ductaflow import load_cli_config as l\nconfig2 = l('x')\nfor k in config2: print(k)",
    "import ductaflow\nc = ductaflow.load_cli_config('x')\nfor k in c: print(k)",
    "while config:\n    k, v = config.popitem()",
    "d = {}\nd |= config\nfor k in d: print(k)",
    "d = {}\nd.update(config)\nprint(d)",
    "ns.cfg = config",
    "d = {}\nd['c'] = config",
    "d = dict.fromkeys(config)",
    "d = dict(list(config.items()))",
    "def f():\n    global cc\n    cc = config\nf()\nfor k in cc: print(k)",
    "def f():\n    c = None\n    def g():\n        nonlocal c\n        c = config\n    g()\n    print(*c)\nf()",
    "def print(c):\n    return [c[k] for k in c]\nprint(config)",
    "@wrap\ndef display(c):\n    return [c[k] for k in c]\ndisplay(config)",
    "from lib import json\njson.dumps(config)",
    "from lib import dumps\ndumps(config)",
    "logger = my()\nlogger.log_config(config)",
    "try:\n    c = config\nexcept Exception:\n    c = {}\nfor k in c: print(k)",
    "[c for _ in range(1) if (c := config)]\nfor k in c: print(k)",
    "a = b = config\nfor k in b: print(k)",
    "c: dict = config\nfor k in c: print(k)",
    "first, *rest = config",
    "for c in [config]:\n    for k in c: print(k)",
    "for c in zip([config]): pass",
    "def a(c):\n    return b(c)\ndef b(c):\n    return a(c) if 0 else c\nfor k in a(config): print(k)",
    "async def a(c):\n    return c\nfor k in await a(config): print(k)",
    "print(type(config)(config)['zz'[0:2]])",
    "assert config == {**config}",
    "print([k for k in names if k in config])",
    "print(f'{config[name]}')",
    "obj.run(config)",
    "await lib.run(config)",
    "raise ValueError(config)",
    "try:\n    x\nexcept* ValueError:\n    for k in config: pass",
    "%%timeit\nfor k in config:\n    pass",
    '%%bash -s "$config"\necho',
    "%%R -i config\nprint(config)",
    "%run other.py",
    "%sql select {{zz}}",
    "x = !echo $config",
    "%store config",
    "save_results(**config)",
    "interact(lambda **k: k, **config)",
    "pd.Series(config)",
    "c = None or config\nfor k in c: pass",
    "class A:\n    for k in config:\n        pass",
    "class A:\n    def config(self): return 1\n    x = [config[k] for k in names]",
    "[x for x in y if config[x]]",
    "config[Keys.A]",
    "import __main__\nprint(vars(__main__)['c'+'onfig'])",
    "import inspect\ninspect.currentframe().f_globals",
    "get_ipython().user_ns['con'+'fig']",
    "get_ipython().ev('config')",
    "pickle.dump(config, f)",
    "json.dump(config, f)",
    "p.write_text(json.dumps(config, indent=2))",
    "subprocess.run(['x', json.dumps(config)])",
    "hash(repr(config))",
    "p.write_text(f'{config}')",
    "def f(c=None):\n    c = c or config\n    for k in c: pass\nf()",
    "(lambda c: [c[k] for k in c])(config)",
    "match config:\n    case c:\n        for k in c: pass",
    "config.__getitem__(x)",
    "config.__iter__()",
    "pprint(config, stream=f)",
    "logging.config.dictConfig(config)",
    "x = config.pop(name, None)",
    "print(','.join(config))",
    "print(max(config, key=config.get))",
    "x = isinstance(config, dict) and [k for k in config]",
]
PART = [
    ("m = config['model']\nfor k in m: print(k)", {"model": {"zz": 1}}),
    ("def f(m):\n    for k in m: print(k)\nf(config['model'])", {"model": {"zz": 1}}),
    ("import copy\nm = copy.copy(config)['model']\nprint(*m)", {"model": {"zz": 1}}),
    ("m = config.get('model', {})\nprint(**m)", {"model": {"zz": 1}}),
    ("def walk(c):\n    for k, v in c.items():\n        walk(v)\nwalk(config)", {"model": {"zz": 1}}),
    ("d = {'m': {**config['m']}}\nfor k in d['m']: pass", {"m": {"zz": 1}}),
    ("config['n'] = config['m']\nfor k in config['n']: pass", {"m": {"zz": 1}}),
    ("for k in config.setdefault('n', config['m']): pass", {"m": {"zz": 1}}),
    ("for k in config.get('n', config['m']): pass", {"m": {"zz": 1}}),
    ("config.update(config.pop('m'))\nprint(config['q'])", {"m": {"zz": 1}}),
    ("config |= config['m']\nprint(config['q'])", {"m": {"q": 1}}),
    ("m = config['a']['b']\nm.update(x)\nfor k in m: pass", {"a": {"b": {"zz": 1}}}),
    ("class A:\n    @property\n    def c(self):\n        return config['m']\nfor k in A().c: pass", {"m": {"zz": 1}}),
]


@pytest.mark.parametrize("code", WHOLE)
def test_a_config_that_goes_out_of_sight_refuses_no_key(code: str, tmp_path: Path) -> None:
    """The code may read any key, so an unknown one is at most a warning."""
    found = problems(body("") + code + "\n", {"unheard_of": 1}, tmp_path)
    assert [problem.certain for problem in found] == [False]


@pytest.mark.parametrize(("code", "given"), PART)
def test_an_object_that_goes_out_of_sight_refuses_no_key_below_it(
    code: str, given: dict[str, object], tmp_path: Path
) -> None:
    """The code may read any key of the object."""
    assert not any(problem.certain for problem in problems(body("") + code + "\n", given, tmp_path))
