"""What rows and configs may give: only keys that the flow reads, on top of what all rows share."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from ductaflow import ConfigError, load_results, plan_instances, run_instances, run_notebook
from tests.conftest import Project

TOLL = """
# %%
from ductaflow import display_config_summary, save_results
display_config_summary(config, "Toll")
model = config["model"]
save_results(toll=config["toll"], depth=model["depth"], whole=type(config["toll"]).__name__)
"""
BASE = {"toll": 2, "model": {"depth": 3, "rate": 0.5}}


@pytest.fixture
def toll(project: Project) -> Project:
    """A project with a flow that reads `toll` and `model.depth`, and its default config."""
    project.flow(TOLL)
    project.write("config/base.json", json.dumps(BASE))
    return project


def refusal(frame: pd.DataFrame, **options: object) -> ConfigError:
    """The error that planning and running both raise for a control dataframe."""
    with pytest.raises(ConfigError) as planned:
        plan_instances(frame, "flow/step.py", **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        run_instances(frame, "flow/step.py", **options)  # type: ignore[arg-type]
    assert str(planned.value) == str(caught.value)
    return caught.value


def test_a_column_that_nobody_reads_is_refused_once(toll: Project) -> None:
    """A misspelt column is one line for all rows, with the name that was meant; nothing is made."""
    error = refusal(pd.DataFrame({"tol": range(1000), "model.depth": 3}))
    assert error.problems == ("all rows: unknown parameter `tol`; did you mean `toll`?",)
    assert "take the key out" in str(error)
    assert not (toll.root / "runs").exists()


def test_a_label_is_kept_beside_the_results(toll: Project) -> None:
    """The refusal says how to keep a column that is no config; what it says works, whatever the frame's index."""
    frame = pd.DataFrame({"toll": [1, 2], "model.depth": 3, "note": ["base", "dear"]}, index=[7, 7])
    error = refusal(frame)
    assert 'results["note"] = control_df["note"]' in str(error)
    results = run_instances(frame.drop(columns="note"), "flow/step.py")
    results["note"] = frame["note"]
    assert results["note"].tolist() == ["base", "dear"]


def test_a_key_inside_a_cell_is_an_error_of_its_row(toll: Project) -> None:
    """Of 1000 rows the two with an odd key are named, beside what else is wrong with rows."""
    cells = [{"depth": 3} for _ in range(1000)]
    cells[700] = cells[900] = {"depth": 3, "dept": 4}
    names = [f"r{number}" for number in range(1000)]
    names[5] = "a/b"
    error = refusal(pd.DataFrame({"instance_name": names, "toll": 1, "model": cells}))
    unknown = "unknown parameter `model.dept`; did you mean `model.depth`?"
    assert error.problems == (
        "row 5: instance name 'a/b' contains a path separator",
        f"row 700 (r700): {unknown}",
        f"row 900 (r900): {unknown}",
    )


def test_a_single_config_is_checked_too(toll: Project) -> None:
    """`run_notebook` and the command refuse the same key."""
    from ductaflow_runtime.cli.main import main

    with pytest.raises(ConfigError, match=r"unknown parameter `tol`; did you mean `toll`\?"):
        run_notebook("flow/step.py", {"tol": 1, "model": {"depth": 1}})
    for command in ("run", "plan"):
        ended = CliRunner().invoke(main, [command, "flow/step.py", "--set", "model.dept=4"])
        assert ended.exit_code == 2
        assert "unknown parameter `model.dept`; did you mean `model.depth`?" in ended.output
    toll.write("other.toml", "tool = 1\n[model]\ndepth = 3\n")
    ended = CliRunner().invoke(main, ["run", "flow/step.py", "--config", "other.toml"])
    assert "unknown parameter `tool`; did you mean `toll`?" in ended.output
    assert len(load_results()) == 0


@pytest.mark.parametrize("choice", ["warn", "ignore"])
def test_the_project_decides_about_unknown_keys(toll: Project, choice: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A column that labels the rows runs with a warning for all of them, or with none."""
    toll.settings(unknown_keys=choice)
    frame = pd.DataFrame({"instance_name": ["a", "b"], "toll": [1, 2], "model.depth": 3, "note": ["x", "y"]})
    assert run_instances(frame, "flow/step.py")["status"].tolist() == ["done", "done"]
    told = [line for line in capsys.readouterr().err.splitlines() if "unknown parameter" in line]
    assert told == ([WARNING] if choice == "warn" else [])


WARNING = "ductaflow: step.py: unknown parameter `note`. Nothing in the flow reads it; it reads `model`, `toll`."


def test_what_cannot_be_seen_is_a_warning(toll: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A flow that iterates over its config runs, with a line for a key that it does not name; once for a loop."""
    toll.flow("# %%\nfor key, value in config.items():\n    print(key, value)\n")
    run_instances(pd.DataFrame({"instance_name": ["a", "b"], "x": [1, 2]}), "flow/step.py")
    assert capsys.readouterr().err.count("unknown parameter `x`. The flow may use it all the same: cell 3") == 1
    for number in range(3):
        run_notebook("flow/step.py", {"x": number}, instance_name=number)
    assert capsys.readouterr().err.count("unknown parameter `x`") == 1


def test_a_value_of_another_type_is_a_warning(toll: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Text for a number is told once for the column, with both values."""
    frame = pd.DataFrame({"instance_name": ["a", "b"], "toll": ["1", "2"], "model.depth": 3})
    run_instances(frame, "flow/step.py")
    told = [line for line in capsys.readouterr().err.splitlines() if "its default" in line]
    assert told == ["ductaflow: step.py: `toll` is text ('1'), its default is a number (2)"]


def test_a_column_called_instance_is_a_key_like_others(toll: Project) -> None:
    """Misspelt it is refused; where the flow has the name, or a text names the row with it, it is right."""
    toll.flow('# %%\nprint(config["toll"], config.get("instances", 1))\n')
    error = refusal(pd.DataFrame({"instance_name": ["a"], "toll": 1, "instance": 5}))
    assert error.problems == ("all rows: unknown parameter `instance`; did you mean `instances`?",)
    toll.flow('# %%\nprint(config["toll"], "instance")\n')
    frame = pd.DataFrame({"instance_name": ["a"], "toll": 1, "instance": "a"})
    assert run_instances(frame, "flow/step.py")["status"].tolist() == ["done"]
    toll.flow('# %%\nprint(config["toll"])\n')
    assert run_instances(frame, "flow/step.py")["status"].tolist() == ["done"]
    assert refusal(frame.assign(instance=5)).problems[0].startswith("all rows: unknown parameter `instance`")


def test_keys_that_a_module_reads_are_fine(toll: Project) -> None:
    """The project's modules that a flow imports may read its config."""
    toll.write("lib/__init__.py", "")
    toll.write("lib/model.py", "def depth(config):\n    return config['model']['depth']\n")
    toll.flow("# %%\nfrom lib.model import depth\nprint(depth(config))\n")
    frame = pd.DataFrame({"instance_name": ["a"], "model.depth": [3]})
    assert run_instances(frame, "flow/step.py")["status"].tolist() == ["done"]


# --- what all rows share


def test_rows_override_what_they_share(toll: Project) -> None:
    """A row's values count at any depth, a blank cell leaves the base's, and whole numbers stay whole."""
    frame = pd.DataFrame({"instance_name": ["a", "b", "c"], "toll": [5, None, 7], "model.depth": [None, 4, None]})
    results = run_instances(frame, "flow/step.py", base_config="config/base.json")
    assert results["result.toll"].tolist() == [5, 2, 7]
    assert set(results["result.whole"]) == {"int"}
    assert results["result.depth"].tolist() == [3, 4, 3]
    stored = json.loads((toll.root / "runs/step/b/config.json").read_text())
    assert stored == {"toll": 2, "model": {"depth": 4, "rate": 0.5}}
    assert plan_instances(frame, "flow/step.py", base_config=BASE)["reason"].isna().all()


def test_only_a_base_fills_blanks(toll: Project) -> None:
    """Without `base_config` a blank cell is null, and a number is what pandas has."""
    frame = pd.DataFrame({"instance_name": ["a", "b"], "toll": [5, None], "model.depth": 3})
    run_instances(frame, "flow/step.py")
    assert [json.loads((toll.root / f"runs/step/{name}/config.json").read_text())["toll"] for name in "ab"] == [
        5.0,
        None,
    ]


def test_blank_cells_that_a_default_may_be_meant_for_are_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once for the column, with what keeps the default."""
    project.write("flow/step.py", "# %% tags=['parameters']\ndays = 160\n\n# %%\nprint(days)\n")
    frame = pd.DataFrame({"instance_name": list("abc"), "days": [60, None, None]})
    run_instances(frame, "flow/step.py")
    told = [line for line in capsys.readouterr().err.splitlines() if "blank" in line]
    assert told == [
        "ductaflow: step.py: blank cells of `days` arrive as None; with base_config={}, or a base, a blank leaves what "
        "stands there already (160)"
    ]
    run_instances(frame, "flow/step.py", base_config={})
    assert "blank" not in capsys.readouterr().err
    assert project.record("step", "b")["fingerprint"]["config"] == {}


def test_a_base_of_another_type_is_told_and_not_the_rows(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in the base is the base's, not that of the row that is right."""
    project.write("flow/step.py", "# %% tags=['parameters']\nbeta = 0.3\n\n# %%\nprint(beta)\n")
    frame = pd.DataFrame({"instance_name": list("ab"), "beta": [0.5, None]})
    run_instances(frame, "flow/step.py", base_config={"beta": "0,25"})
    told = [line for line in capsys.readouterr().err.splitlines() if "`beta`" in line]
    assert told == ["ductaflow: step.py: base_config: `beta` is text ('0,25'), its default is a number (0.3)"]


def test_a_single_config_is_laid_over_the_base(toll: Project) -> None:
    """A row taken as a dict gives the same instance as in a control dataframe."""
    row = {"toll": 5, "model.depth": None, "model.rate": 0.25}
    record = run_notebook("flow/step.py", row, base_config=BASE, instance_name="a")
    stored = json.loads((record.directory / "config.json").read_text())
    assert stored == {"toll": 5, "model": {"depth": 3, "rate": 0.25}}
    frame = pd.DataFrame([{"instance_name": "a", **row}])
    assert plan_instances(frame, "flow/step.py", base_config=BASE)["reason"].tolist() == [None]
    assert run_notebook("flow/step.py", base_config="config/base.json", instance_name="b").results["toll"] == 2
    assert BASE == {"toll": 2, "model": {"depth": 3, "rate": 0.5}}


def test_a_single_config_gives_no_key_twice(toll: Project) -> None:
    """What a control dataframe may not have as columns, a dict that is laid over a base may not have as keys."""
    for row in ({"model.depth": 5, "model": {"depth": 7}}, {"model": {"rate": 7}, "model.depth": 5}):
        with pytest.raises(ConfigError, match="the key is given twice, or is both a value and a parent"):
            run_notebook("flow/step.py", row, base_config=BASE)
    assert not (toll.root / "runs").exists()


def test_the_base_counts_by_its_values(toll: Project) -> None:
    """A changed base runs the rows that take the changed value from it, with its key as the one reason."""
    toll.write("config/shared.yaml", "toll: 2\nmodel:\n  depth: 3\n")
    frame = pd.DataFrame({"instance_name": ["a", "b"], "model.depth": [None, 4]})
    run_instances(frame, "flow/step.py", base_config="config/shared.yaml")
    assert toll.record("step", "a")["fingerprint"]["inputs"] == {}
    toll.write("config/shared.yaml", "# new text\nmodel: {depth: 3}\ntoll: 2\n")
    assert plan_instances(frame, "flow/step.py", base_config="config/shared.yaml")["reason"].isna().all()
    toll.write("config/shared.yaml", "toll: 2\nmodel:\n  depth: 5\n")
    planned = plan_instances(frame, "flow/step.py", base_config="config/shared.yaml")["reason"].tolist()
    assert planned == ["config: model.depth 3 -> 5", None]


def test_a_row_that_does_not_fit_its_base(toll: Project) -> None:
    """Conflicts are listed with their rows."""
    error = refusal(
        pd.DataFrame({"instance_name": ["a", "b"], "toll": 1, "model": [{"depth": 1}, 3]}), base_config=BASE
    )
    assert error.problems == ("row 1 (b): model: an object with keys of its own in base_config, and 3 in the row",)


@pytest.mark.parametrize("base", ["config/shared.yaml", {"aplha": 0.7, "ratio": 2}])
def test_a_misspelt_variable_of_the_base_is_refused(project: Project, base: object) -> None:
    """Where each key is a variable, one of the base that nothing reads is an error, for frames and single configs."""
    project.write("config/shared.yaml", "aplha: 0.7\nratio: 2\n")
    project.write_flow(
        "flow/step.py", '# %% tags=["parameters"]\nalpha = 0.1\nratio = 3\n\n# %%\nprint(alpha, ratio)\n'
    )
    told = "unknown parameter `aplha`; did you mean `alpha`? Nothing in the flow reads it; it reads `alpha`, `ratio`."
    error = refusal(pd.DataFrame({"ratio": [4]}), base_config=base)
    assert error.problems == (f"all rows: base_config: {told}",)
    with pytest.raises(ConfigError) as caught:
        run_notebook("flow/step.py", {"ratio": 4}, base_config=base)  # type: ignore[arg-type]
    assert caught.value.problems == (told,)


def test_a_misspelt_key_of_the_base_is_a_warning(toll: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A base may hold what other steps read: what was nearly a key of this one is a line, and the rest another."""
    base = {"tol": 1, "model": {"depth": 3, "dept": 1}, "fleet": 5, "report": {"title": "A"}}
    frame = pd.DataFrame({"instance_name": ["a", "b"], "toll": [1, 2]})
    lines = [
        "ductaflow: step.py: base_config: unknown parameter `tol`; did you mean `toll`?",
        "ductaflow: step.py: base_config: unknown parameter `model.dept`; did you mean `model.depth`?",
        "ductaflow: step.py: base_config: the flow is not seen to read `fleet`, `report`",
    ]
    run_instances(frame, "flow/step.py", base_config=base)
    assert [line for line in capsys.readouterr().err.splitlines() if "base_config" in line] == lines
    for name in "cd":
        run_notebook("flow/step.py", {"toll": 1}, base_config=base, instance_name=name)
    assert [line for line in capsys.readouterr().err.splitlines() if "base_config" in line] == lines
    toll.settings(unknown_keys="ignore")
    run_instances(frame, "flow/step.py", base_config=base, force=True)
    assert "base_config" not in capsys.readouterr().err


@pytest.mark.parametrize("base", ["config/base.json", None])
def test_a_key_of_the_default_config_that_nothing_reads_is_a_warning(
    toll: Project, base: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default config does not make its own misspelt keys known, be it the base of the sweep as well."""
    toll.flow(TOLL.replace('config["toll"]', 'config.get("toll", 10)'))
    toll.write(
        "config/base.json", json.dumps({"tol": 2, "model": {"depth": 3, "dept": 1}, "fleet": 5, "other": {"a": 1}})
    )
    frame = pd.DataFrame({"instance_name": ["a"], "model.depth": [4]})
    where = "default config" if base is None else "base_config"
    run_instances(frame, "flow/step.py", base_config=base)
    assert [line for line in capsys.readouterr().err.splitlines() if where in line] == [
        f"ductaflow: step.py: {where}: unknown parameter `tol`; did you mean `toll`?",
        f"ductaflow: step.py: {where}: unknown parameter `model.dept`; did you mean `model.depth`?",
        f"ductaflow: step.py: {where}: the flow is not seen to read `fleet`",
    ]
    plan_instances(frame.assign(tol=5), "flow/step.py", base_config=base)  # a row may set what is there


@pytest.mark.parametrize(
    "reading",
    [
        "def use(**given):\n    return given\nuse(**config)",
        'rates = dict(config["rates"])\nprint([rates[name] for name in rates])',
        "import dataclasses\nC = dataclasses.make_dataclass('C', list(config))\nC(**dict(config.items()))",
        "from settings import load\nprint(load(config))",
        "from settings import Model\nModel.model_validate(config)",
    ],
    ids=["unpacked", "a section read as a whole", "a dataclass", "a module", "a model that validates"],
)
def test_what_may_be_read_out_of_sight_in_a_default_is_not_told(
    toll: Project, reading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the code does not settle which keys it reads, nothing is said of those of the default config."""
    whole = {"rates": {"tol": 1, "tolls": 2}}
    toll.write("config/base.json", json.dumps(whole if "rates" in reading else {"toll": 1, "tol": 3, "fleet": 5}))
    toll.write(
        "settings.py", "def load(config):\n    return [config[name] for name in config]\nclass Model:\n    pass\n"
    )
    toll.flow(f"\n# %%\nprint(config.get('toll'))\n{reading}\n")
    plan_instances(pd.DataFrame({"instance_name": ["a"], "toll": [1]}), "flow/step.py", base_config="config/base.json")
    assert "config: " not in capsys.readouterr().err


def test_what_the_base_gives_must_arrive_too(project: Project) -> None:
    """A cell that assigns anew what only the base gives is refused like one that replaces a column."""
    project.write_flow("flow/step.py", '# %% tags=["parameters"]\nalpha = 0.1\n\n# %%\nalpha = 0.2\nprint(alpha)\n')
    error = refusal(pd.DataFrame({"instance_name": ["a"]}), base_config={"alpha": 0.7})
    assert "cell 2 assigns `alpha` anew" in error.problems[0]


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("config/absent.json", "base_config not found"),
        ("config/broken.yaml", "broken.yaml"),
        ([1], "base_config: a config is a dict"),
        ({"toll": {1, 2}}, "toll: set is not a JSON value"),
    ],
)
def test_a_base_that_cannot_be_read(toll: Project, base: object, told: str) -> None:
    """The message says what was given and why it cannot be."""
    toll.write("config/broken.yaml", "a: [1\n")
    assert told in str(refusal(pd.DataFrame({"toll": [1]}), base_config=base))


def test_whole_numbers_of_a_parameters_cell(project: Project) -> None:
    """Where the parameters cell has a whole number, a blank elsewhere in the column does not make it a float."""
    cell = '# %% tags=["parameters"]\nn = 1\nshare = 0.5\n\n# %%\nprint(n, share)\n'
    project.write_flow("flow/step.py", cell)
    frame = pd.DataFrame({"instance_name": ["a", "b"], "n": [3, None], "share": [1.0, None]})
    run_instances(frame, "flow/step.py")
    assert json.dumps(json.loads((project.root / "runs/step/a/config.json").read_text())) == '{"n": 3, "share": 1.0}'


def test_a_whole_number_does_not_depend_on_the_other_rows(project: Project) -> None:
    """A part of a control dataframe gives the same configs as the whole one, so nothing runs again for it."""
    project.write_flow("flow/step.py", '# %% tags=["parameters"]\nn = 1\n\n# %%\nprint(n)\n')
    frame = pd.DataFrame({"instance_name": ["a", "b", "c"], "n": [None, 4, 2.5]})
    for options in ({}, {"base_config": {"n": 3}}):
        run_instances(frame, "flow/step.py", **options)  # type: ignore[arg-type]
        stored = {name: (project.root / f"runs/step/{name}/config.json").read_text() for name in "bc"}
        assert {name: json.dumps(json.loads(text)) for name, text in stored.items()} == {
            "b": '{"n": 4}',
            "c": '{"n": 2.5}',
        }
        for part in (frame.iloc[[1]], frame[frame.n.notna()], frame.iloc[1:], frame.iloc[:2]):
            assert plan_instances(part, "flow/step.py", **options)["reason"].isna().all()  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["json", "yaml", "yml", "toml"])
def test_a_config_file_goes_by_its_ending(toll: Project, ending: str) -> None:
    """The same config from each kind of file is the same instance, for the command and as a base."""
    from ductaflow_runtime.cli.main import main

    text = {"json": '{"toll": 4, "model": {"depth": 1}}', "toml": "toll = 4\n[model]\ndepth = 1\n"}
    toll.write(f"my.{ending}", text.get(ending, "toll: 4\nmodel:\n  depth: 1\n"))
    ended = CliRunner().invoke(main, ["run", "flow/step.py", "--config", f"my.{ending}", "--name", "a"])
    assert ended.exit_code == 0, ended.output
    assert run_notebook("flow/step.py", {"toll": 4, "model": {"depth": 1}}, instance_name="a").skipped
    assert run_notebook("flow/step.py", base_config=f"my.{ending}", instance_name="a").skipped
