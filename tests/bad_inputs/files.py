"""Config files that cannot be read, in each format."""

from __future__ import annotations

from tests.bad_inputs.case import Bad, Section


def given(name: str, content: str | bytes) -> Bad:
    """A config file, and a command that is given it."""
    return Bad(f"$ ductaflow run flow/toll.py --config config/{name}", {f"config/{name}": content})


JSON = (
    Bad("$ ductaflow run flow/toll.py --config config/nowhere.json"),
    given("a.json", ""),
    given("b.json", '{"year": 2030'),
    given("c.json", "[2030]"),
    given("d.json", '{"year": 2030, "year": 2035}'),
    given("e.json", '{"year": Infinity}'),
    given("f.json", "year: 2030\n"),
    given("g.json", b"\xff\xfe{\x00}\x00"),
    given("h.json", '{"year": "Z\xfcrich"}'.encode("latin-1")),
    given("i.json", '{"year": "\\ud800"}'),
    Bad('Path("config/j.json").write_text("[" * 100_000)\nrun_notebook("flow/toll.py", base_config="config/j.json")'),
    Bad(
        'Path("config/k.json").write_text(\'{"year": \' + "9" * 5000 + "}")\n'
        'run_notebook("flow/toll.py", base_config="config/k.json")'
    ),
    given("l.ini", "[toll]\nprice = 2.5\n"),
    Bad('os.mkfifo("config/m.json")\nrun_notebook("flow/toll.py", base_config="config/m.json")'),
)
YAML = (
    given("a.yaml", ""),
    given("b.yaml", "year: 2030\n  toll: 1\n"),
    given("c.yaml", "toll:\n\tprice: 2.5\n"),
    given("d.yaml", "year: 2030\nyear: 2035\n"),
    given("e.yaml", "year: no\n"),
    given("f.yaml", "year: 012\n"),
    given("g.yaml", "year: 1:30\n"),
    given("h.yaml", "year: 1_000\n"),
    given("i.yaml", "year: .inf\n"),
    given("j.yaml", "2030: year\n"),
    given("k.yaml", "year: !!set {2030, 2035}\n"),
    given("l.yaml", "year: !!python/object:os.system x\n"),
    given("m.yaml", "year: 2030-02-30\n"),
    given("n.yaml", "year: 2030\n---\nyear: 2035\n"),
    given("o.yaml", "toll: &t\n  price: *t\n"),
    given("p.yaml", "toll: *low\n"),
    given("q.yaml", "<<: 5\nyear: 2030\n"),
    given("r.yaml", "- year\n"),
    given("s.yaml", "year: 1e999\n"),
    given("t.yaml", b"year: \x00\n"),
)
TOML = (
    given("a.toml", "year 2030\n"),
    given("b.toml", "year = 2030\nyear = 2035\n"),
    given("c.toml", "year = inf\n"),
    given("d.toml", "year = 2030-01-01T12:00:00.1234567\n"),
    given("e.toml", b"year = \xff\n"),
    Bad(
        'Path("config/f.toml").write_text("year = " + "[" * 100_000)\n'
        'run_notebook("flow/toll.py", base_config="config/f.toml")'
    ),
)
SECTIONS = (
    Section("Config files: JSON", JSON),
    Section("Config files: YAML", YAML),
    Section("Config files: TOML", TOML),
)
