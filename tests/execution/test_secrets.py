"""A secret is looked up by the process that executes the flow; its name alone is written, and what is shown masked."""

from __future__ import annotations

import base64
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pandas as pd
import pytest

from ductaflow import ConfigError, FlowError, load_results, plan_instances, run_instances, run_notebook
from tests.conftest import HEAD, Project
from tests.kernels import run_cells
from tests.waiting import LAST_CHANCE_S, wait_for

TEXT = 'k&y/7+ü "q" <x>\\1'
OTHER = "-----BEGIN KEY-----\nAbCd+efGH/1234\nZZtop99==\n-----END KEY-----"
SECRETS = {"DF_TOKEN": TEXT, "DF_KEY": OTHER}
CONFIG = {"token": {"$env": "DF_TOKEN"}, "db": {"key": {"$env": "DF_KEY"}}, "n": 3}

# What a careless flow does with what it is given; `token` and `key` are the secrets.
CARELESS = """
import base64, html, json, logging, os, subprocess, sys
from urllib.parse import quote, quote_plus
print(token, key)
print({"token": token, "key": key}, json.dumps([token, key]), repr(token), file=sys.stderr)
for char in token:
    print(char, end="", flush=True)
print()
for text in (token, key):
    middle = len(text) // 2
    sys.stdout.write("half: " + text[:middle])
    sys.stdout.flush()
    sys.stdout.write(text[middle:] + " whole\\n")
    os.write(1, text[:middle].encode())
    os.write(1, (text[middle:] + "\\n").encode())
    print(base64.b64encode(text.encode()).decode(), base64.urlsafe_b64encode(text.encode()).decode())
    for before in ("", "u", "us", "use"):
        print("Basic", base64.b64encode((before + ":" + text + "@host").encode()).decode())
    print(quote(text), quote(text, safe=""), quote_plus(text), html.escape(text))
logging.warning("with %s", token)
subprocess.run([sys.executable, "-c", "import os; print('child', os.environ['DF_TOKEN'])"], check=True)
"""
SHOWN = """
from IPython.display import HTML, JSON, display
from ductaflow import display_config_summary
display(HTML("<b>" + html.escape(token) + "</b>"), JSON({"a": [token, {key: 1}]}))
display({"text/plain": token, "text/latex": key, "image/svg+xml": f"<svg>{html.escape(token)}</svg>"}, raw=True)
display_config_summary({"token": token, "key": key})
token
"""
AS_CONFIG = 'token, key, n = config["token"], config["db"]["key"], config["n"]\n'
CHECK = """
import hashlib
import ductaflow
told = hashlib.sha256((token + key).encode()).hexdigest()
ductaflow.save_results(told=told, n=config["n"])
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets are set."""
    for name, text in SECRETS.items():
        monkeypatch.setenv(name, text)


def digest() -> str:
    """What a flow saves that was given the secrets' true texts."""
    import hashlib

    return hashlib.sha256((TEXT + OTHER).encode()).hexdigest()


def forms(texts: tuple[str, ...] = (TEXT, OTHER)) -> Iterator[bytes]:
    """The secrets as they are, and as they may have been written."""
    for text in texts:
        raw = text.encode()
        shown = [text, quote(text), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], repr(text)[1:-1]]
        shown += [json.dumps(text, ensure_ascii=False)[1:-1], *(line for line in text.splitlines() if len(line) > 3)]
        shown += [base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")]
        for before in ("", "u", "us", "use"):
            shown.append(base64.b64encode((before + ":" + text + "@host").encode()).decode()[8:-8])
        yield from (each.encode() for each in shown)


def leaks(*places: Path | str) -> list[str]:
    """The files, and the texts, in which a form of a secret is."""
    known = list(forms())
    found = []
    for place in places:
        files = [path for path in place.rglob("*") if path.is_file()] if isinstance(place, Path) else []
        parts = {str(path): path.read_bytes() for path in files} or {"text": str(place).encode()}
        found += [f"{name}: {form!r}" for name, content in parts.items() for form in known if form in content]
    return found


def command_lines() -> str:
    """What `ps` would show."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            found.append(Path(path).read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
    return "\n".join(found)


def scratch() -> list[Path]:
    return [Path(path) for path in glob.glob(os.path.join(tempfile.gettempdir(), "ductaflow-*"))]


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_careless_flow_leaves_no_secret(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in config, notebook, log, record and page, in no process list, and in nothing that is said about it."""
    project.flow(AS_CONFIG + CARELESS + SHOWN + "\n# %%\n" + CHECK + "\nimport time\ntime.sleep(0.3)\n")
    rows = pd.DataFrame({"instance_name": ["one"], **{name: [value] for name, value in CONFIG.items()}})
    listed: list[str] = []
    import threading

    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            listed.append(command_lines())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        frame = run_instances(rows, "flow/step.py", export_html=True)
    finally:
        stop.set()
        thread.join()
    assert frame["status"].tolist() == ["done"], frame["error"].tolist()
    assert frame["result.told"].tolist() == [digest()]
    out, err = capfd.readouterr()
    assert listed
    assert leaks(project.root / "runs", *scratch(), "\n".join(listed), out, err, frame.to_csv()) == []
    record = project.record("step", "one")
    assert record["fingerprint"]["config"] == CONFIG
    assert json.loads((project.root / "runs/step/one/config.json").read_text()) == CONFIG
    log = (project.root / "runs/step/one/run.log").read_text()
    assert "half: *** whole" in log
    assert "child ***" in log
    injected = [cell for cell in project.notebook("step", "one")["cells"] if "injected-parameters" in str(cell)]
    assert '__import__("os").environ["DF_TOKEN"]' in "".join(injected[0]["source"])
    assert (project.root / "runs/step/one/step.html").is_file()


@pytest.mark.engines("fork", "spawn", "kernel")
def test_a_failing_flow_leaves_no_secret(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """The message of an error, its traceback and its place are masked, in the record and wherever it is told."""
    project.flow(AS_CONFIG + 'raise ValueError(f"no access with {token!r} and {key} and {[token, key]}")\n')
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/step.py", CONFIG, instance_name="one", export_html=True)
    out, err = capfd.readouterr()
    told = (str(caught.value), repr(caught.value.record), json.dumps(caught.value.record.to_json()), out, err)
    assert leaks(project.root / "runs", *scratch(), *told) == []
    assert caught.value.record.error is not None
    assert caught.value.record.error.message.startswith("no access with '***' and ***")


@pytest.mark.engines("fork", "spawn", "kernel")
def test_variables_are_given_secrets_too(project: Project) -> None:
    """A flow of papermill's kind has them as variables."""
    project.write_flow(
        "flow/vars.py",
        '# %% tags=["parameters"]\ntoken = ""\ndb = {}\nn = 0\n\n# %%\n'
        'config = {"n": n}\nkey = db["key"]\nprint(token)\n' + CHECK,
    )
    record = run_notebook("flow/vars.py", CONFIG, instance_name="one")
    assert record.results == {"told": digest(), "n": 3}
    assert leaks(project.root / "runs") == []


def script(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The flow as a script."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_a_script_leaves_no_secret(project: Project) -> None:
    """With --output-dir, what it prints is masked in the log and on the terminal; the command names the variable."""
    project.write("config/base.json", json.dumps(CONFIG))
    project.flow(AS_CONFIG + CARELESS + CHECK + 'raise RuntimeError("not " + token)\n')
    ended = script(project, "flow/step.py", "--config", "config/base.json", "--output-dir", "runs/step/one")
    assert ended.returncode == 1
    assert leaks(project.root / "runs", ended.stdout, ended.stderr) == []
    record = project.record("step", "one")
    assert record["results"] == {"told": digest(), "n": 3}
    assert record["error"]["message"] == "not ***"
    assert "half: *** whole" in ended.stdout


def test_a_script_of_variables_has_them(project: Project) -> None:
    """`load_cli_parameters` sets the text, and `--set` takes the name; without a record there is nothing to mask."""
    project.write_flow(
        "flow/vars.py",
        '# %% tags=["parameters"]\ntoken = ""\n\n# %%\nfrom ductaflow import load_cli_parameters\n'
        "load_cli_parameters()\n\n# %%\nprint(len(token))\n",
    )
    ended = script(project, "flow/vars.py", "--set", "token.$env=DF_TOKEN")
    assert (ended.stdout, ended.stderr) == (f"{len(TEXT)}\n", "")
    missing = script(project, "flow/vars.py", "--set", "token.$env=DF_NONE")
    assert missing.returncode == 2
    assert "token: the environment variable DF_NONE is not set" in missing.stderr


def test_a_missing_variable_is_told_before_anything_runs(project: Project) -> None:
    """With the row and the variable; what is up to date, or is only planned, needs none."""
    project.flow('import ductaflow\nductaflow.save_results(size=len(config["token"]))\n')
    rows = pd.DataFrame({"instance_name": ["good", "bad"], "token.$env": ["DF_TOKEN", "DF_NONE"]})
    plan = plan_instances(rows, "flow/step.py")
    assert plan["reason"].tolist() == ["new", "new"]
    with pytest.raises(ConfigError) as caught:
        run_instances(rows, "flow/step.py")
    assert caught.value.problems == ("bad: token: the environment variable DF_NONE is not set",)
    assert not (project.root / "runs/step").exists()


def test_a_short_text_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under four characters it could not be masked."""
    project.flow('config["token"]\n')
    for text in ("", "abc", "  x  "):
        monkeypatch.setenv("DF_SHORT", text)
        with pytest.raises(ConfigError, match=r"DF_SHORT holds fewer than 4 characters"):
            run_notebook("flow/step.py", {"token": {"$env": "DF_SHORT"}})


def test_the_name_counts_and_the_text_does_not(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another text makes no instance run again, another name does, and the reason shows the names."""
    project.flow('import ductaflow\nductaflow.save_results(size=len(config["token"]))\n')
    run_notebook("flow/step.py", {"token": {"$env": "DF_TOKEN"}}, instance_name="one")
    monkeypatch.setenv("DF_TOKEN", "another text")
    assert run_notebook("flow/step.py", {"token": {"$env": "DF_TOKEN"}}, instance_name="one").skipped
    monkeypatch.delenv("DF_TOKEN")
    assert run_notebook("flow/step.py", {"token": {"$env": "DF_TOKEN"}}, instance_name="one").skipped
    again = run_notebook("flow/step.py", {"token": {"$env": "DF_KEY"}}, instance_name="one")
    assert again.reason == "config: token.$env DF_TOKEN -> DF_KEY"
    assert again.results == {"size": len(OTHER)}
    assert load_results("step")["token.$env"].tolist() == ["DF_KEY"]


def test_other_shapes_are_refused(project: Project) -> None:
    """What is nearly a secret is an error, and a key `env` is plain data, as ever."""
    project.flow('import ductaflow\nductaflow.save_results(got=config["a"]["env"])\n')
    assert run_notebook("flow/step.py", {"a": {"env": "prod"}}).results == {"got": "prod"}
    wrong = [{"$env": 1}, {"$env": "A", "b": 1}, {"$env": "not a name"}, {"$env": None}, [{"$env": ""}]]
    for value in wrong:
        with pytest.raises(ConfigError, match=r"a secret is written \{\"\$env\": \"NAME\"\}"):
            run_notebook("flow/step.py", {"a": value})
        with pytest.raises(ConfigError, match=r"row 0: a.*a secret is written"):
            run_instances(pd.DataFrame({"a": [value]}), "flow/step.py")
    with pytest.raises(ConfigError, match="a secret is written"):
        run_notebook("flow/step.py", {"$env": "DF_TOKEN"})


def test_a_base_and_its_rows_may_have_secrets(project: Project) -> None:
    """A secret is one value: a row's takes the place of what the base has, be it a secret or a text."""
    project.flow('import ductaflow\nductaflow.save_results(a=len(config["a"]), b=len(config["b"]))\n')
    project.write("config/all.yaml", "a:\n  $env: DF_TOKEN\nb: plain\n")
    rows = pd.DataFrame(
        {
            "instance_name": ["base", "other", "cell"],
            "a.$env": [None, "DF_KEY", None],
            "b": [None, {"$env": "DF_TOKEN"}, "text"],
        }
    )
    frame = run_instances(rows, "flow/step.py", base_config="config/all.yaml")
    assert frame["result.a"].tolist() == [len(TEXT), len(OTHER), len(TEXT)]
    assert frame["result.b"].tolist() == [len("plain"), len(TEXT), len("text")]


def test_results_hold_no_secret(project: Project) -> None:
    """A result, its name or a table that holds one is refused, for masked it would be another result."""
    for number, call in enumerate(
        (
            "dict(a=[1, 'x' + token])",
            "{token: 1}",
            "{'deep': {'er': token}}",
            "dict(t=__import__('pandas').DataFrame({'a': [token]}))",
        )
    ):
        project.flow(
            f'import ductaflow\ntoken = config["token"]\nductaflow.save_results({call})\n', f"flow/s{number}.py"
        )
        with pytest.raises(FlowError, match="it holds the text of a secret"):
            run_notebook(f"flow/s{number}.py", {"token": {"$env": "DF_TOKEN"}})
    assert leaks(project.root / "runs") == []


def test_a_secret_that_a_flow_passes_on_is_refused(project: Project) -> None:
    """A flow that runs another one gives it the name, not the text, which would be stored."""
    project.flow('len(config["token"])\n', "flow/inner.py")
    project.flow('import ductaflow\nductaflow.run_notebook("flow/inner.py", {"token": config["token"]})\n')
    with pytest.raises(FlowError, match="it holds the text of a secret"):
        run_notebook("flow/step.py", {"token": {"$env": "DF_TOKEN"}})
    assert leaks(project.root / "runs") == []


def test_other_languages_are_refused(project: Project) -> None:
    """A flow in bash cannot be given a secret; that is told before anything runs."""
    project.write("flow/job.sh", '# %% tags=["parameters"]\ntoken=""\n\n# %%\necho "$token"\n')
    with pytest.raises(ConfigError, match="token: a secret can be given to flows in Python only"):
        run_notebook("flow/job.sh", {"token": {"$env": "DF_TOKEN"}})


@pytest.mark.parametrize("whom", ["child", "worker"])
def test_a_killed_execution_leaves_no_secret(project: Project, whom: str) -> None:
    """Neither where the child dies in the middle, nor its worker: what others write in its place is masked."""
    project.flow(
        AS_CONFIG
        + CARELESS
        + SHOWN
        + '\n# %%\nprint(token, key)\nimport os, signal\nos.write(1, (token + "\\n").encode())\n'
        + ("os.kill(os.getpid(), 9)" if whom == "child" else "os.kill(os.getppid(), 9)\nimport time\ntime.sleep(60)")
        + "\n"
    )
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/step.py", CONFIG, instance_name="one")
    assert caught.value.record.error is not None
    assert caught.value.record.error.type == "Died"
    assert leaks(project.root / "runs", str(caught.value)) == []


@pytest.mark.parametrize("at", [1, 7, len(TEXT.encode()) - 2])
@pytest.mark.parametrize("name", ["token", "key"])
def test_the_rest_of_a_secret_in_a_dead_process(project: Project, name: str, at: int) -> None:
    """A process that dies while it prints one leaves no part that the worker finds of it: the log shows a mask."""
    project.flow(
        AS_CONFIG
        + f"""
# %%
import os
raw = {name}.encode()
os.write(1, b"printed: " + raw[:{at}])
print(end="", flush=True)
os.write(1, raw[{at}:] + b" and more")
os._exit(1)
"""
    )
    with pytest.raises(FlowError) as caught:
        run_notebook("flow/step.py", CONFIG, instance_name="one")
    log = (caught.value.record.directory / "run.log").read_text()
    assert leaks(project.root / "runs") == []
    text = SECRETS["DF_TOKEN" if name == "token" else "DF_KEY"]
    assert not any(text[start : start + 5] in log.partition("printed: ")[2] for start in range(at, len(text) - 5))
    assert "*** and more" in log


def test_what_a_kill_of_all_leaves_behind_has_no_secret(project: Project, tmp_path: Path) -> None:
    """Conductor, worker and child killed at once: neither `runs/` nor the temporary folder holds it."""
    project.flow(AS_CONFIG + CARELESS + SHOWN + "\nopen('begun', 'w').close()\nimport time\ntime.sleep(600)\n")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    text = f"from ductaflow import run_notebook\nrun_notebook('flow/step.py', {CONFIG!r}, instance_name='one')\n"
    conductor = subprocess.Popen(
        [sys.executable, "-c", text],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    begun = project.root / "runs/step/one/begun"
    wait_for(begun.exists, by=conductor)
    import psutil

    family = [conductor.pid, *(child.pid for child in psutil.Process(conductor.pid).children(recursive=True))]
    assert leaks(command_lines()) == []
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    _, err = conductor.communicate(timeout=LAST_CHANCE_S)
    assert list(temporary.iterdir())
    assert leaks(project.root / "runs", temporary, err) == []


def test_a_failed_instance_can_be_taken_apart(project: Project) -> None:
    """`ductaflow debug` makes a notebook that looks the secret up, so the variable is set before Jupyter is opened."""
    from ductaflow_runtime.debug import make_debug_notebook

    project.flow(AS_CONFIG + "raise ValueError(len(token))\n")
    with pytest.raises(FlowError):
        run_notebook("flow/step.py", CONFIG, instance_name="one")
    text = make_debug_notebook("runs/step/one").read_text()
    assert "environ[" in text
    assert leaks(text) == []


def test_what_shared_cells_print_of_it_is_masked(project: Project) -> None:
    """They are executed without a config, ahead of all instances, and may look the variable up themselves."""
    project.write_flow(
        "flow/step.py",
        '# %% tags=["shared"]\nimport os\nprint("shared", os.environ["DF_TOKEN"])\n\n'
        '# %% tags=["parameters"]\nconfig = {}\n\n# %%\nlen(config["token"])\n',
    )
    record = run_notebook("flow/step.py", {"token": {"$env": "DF_TOKEN"}}, instance_name="one")
    assert "shared ***" in record.log.read_text()
    assert leaks(project.root / "runs") == []


def test_an_executor_looks_it_up_where_it_executes(project: Project) -> None:
    """There, a row whose variable is missing fails, and the others run."""
    from concurrent.futures import ThreadPoolExecutor

    project.flow('len(config["token"])\n')
    rows = pd.DataFrame({"instance_name": ["good", "bad"], "token.$env": ["DF_TOKEN", "DF_NONE"]})
    with ThreadPoolExecutor(1) as executor:
        frame = run_instances(rows, "flow/step.py", executor=executor, on_error="continue")
    assert frame["status"].tolist() == ["done", "failed"]
    assert "token: the environment variable DF_NONE is not set" in frame["error"].tolist()[1]


def test_the_command_takes_the_name(project: Project) -> None:
    """`ductaflow run --set`, also where the default config has a text."""
    from click.testing import CliRunner

    from ductaflow_runtime.cli.main import main

    project.flow('import ductaflow\nductaflow.save_results(size=len(config["token"]))\n')
    project.write("config/base.json", '{"token": "none"}')
    told = CliRunner().invoke(main, ["run", "flow/step.py", "--set", "token.$env=DF_TOKEN", "--name", "one"])
    assert told.exit_code == 0, told.output
    assert project.record("step", "one")["results"] == {"size": len(TEXT)}


@pytest.mark.slow
def test_an_opened_notebook_has_the_secret(project: Project) -> None:
    """Opened by hand, a flow fills its config from the default file, and the secrets are looked up."""
    import nbformat.v4

    project.write("config/base.json", json.dumps(CONFIG))
    first, second = HEAD.split("# %% CLI")
    cells = [nbformat.v4.new_code_cell(text) for text in (first, f"# {second}", 'len(config["token"])')]
    notebook = nbformat.v4.new_notebook(cells=cells)
    run_cells(notebook, project.root, kernel_name="python3", timeout=LAST_CHANCE_S)
    assert notebook.cells[2].outputs[0]["data"]["text/plain"] == str(len(TEXT))
