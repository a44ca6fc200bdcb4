# ruff: noqa: T201 - a command that prints its table
"""Whether packages come out the same forked as in a fresh interpreter: `python -m benchmarks.packages [NAME...]`.

For each package that is installed, of those in `USES`: seconds to import it, what was found out about it, and seconds
an instance on a warm worker and in a fresh interpreter, in two sweeps of three rows. Results and outputs are compared.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT

# What people do with a package: its import, and an expression that has it work; `n` is the row's number.
USES = {
    "numpy": "(np := __import__('numpy')).linalg.norm(np.ones((300, 300)) @ np.ones((300, 300))) + n",
    "scipy": "__import__('scipy.optimize').optimize.minimize_scalar(lambda x: (x - n) ** 2).x.round(6)",
    "pandas": "__import__('pandas').Series(range(n + 5)).rolling(2).sum().sum()",
    "pyarrow": "__import__('pyarrow').table({'a': list(range(1000))}).group_by('a').aggregate([]).num_rows + n",
    "polars": "__import__('polars').DataFrame({'a': range(100000)}).group_by('a').len().height + n",
    "duckdb": "__import__('duckdb').connect().execute('select sum(range) from range(1000000)').fetchone()[0] + n",
    "dask": "__import__('dask.array').array.ones((1000, 1000), chunks=100).sum().compute() + n",
    "distributed": "n",
    "xarray": "float(__import__('xarray').DataArray([1.0, n]).mean())",
    "netCDF4": "__import__('netCDF4').Dataset('x.nc', 'w').createDimension('a', n + 1).size",
    "h5py": "__import__('h5py').File('x.h5', 'w').create_dataset('a', data=[n])[0]",
    "zarr": "float(__import__('zarr').ones((10, 10))[:].sum()) + n",
    "shapely": "__import__('shapely').Point(0, 0).buffer(n + 1).area",
    "pyproj": "__import__('pyproj').Transformer.from_crs(4326, 3857).transform(50, n)[0]",
    "geopandas": "__import__('geopandas').GeoSeries.from_xy([0, n], [0, 1]).buffer(1).area.sum()",
    "rasterio": "__import__('rasterio').transform.from_bounds(0, 0, 1, 1, 10, n + 1).a",
    "sklearn": (
        "__import__('sklearn.ensemble').ensemble.RandomForestRegressor(10, n_jobs=2, random_state=0)"
        ".fit([[i] for i in range(50)], range(50)).predict([[n]])[0]"
    ),
    "statsmodels": "__import__('statsmodels.api').api.OLS([1.0, 2, 3], [[1.0], [2], [3 + n]]).fit().params[0]",
    "xgboost": (
        "float((x := __import__('xgboost')).train({}, x.DMatrix(__import__('numpy').eye(9), label=list(range(9))), 3)"
        ".predict(x.DMatrix(__import__('numpy').eye(9)))[n])"
    ),
    "lightgbm": (
        "float((x := __import__('lightgbm')).train({'verbose': -1}, x.Dataset(__import__('numpy').random.RandomState(0)"
        ".rand(99, 3), label=list(range(99))), 3).predict(__import__('numpy').eye(3))[n % 3])"
    ),
    "torch": "float(((torch := __import__('torch')).ones(500, 500) @ torch.ones(500, 500)).sum()) + n",
    "jax": "float((jnp := __import__('jax.numpy').numpy).dot(jnp.ones(100), jnp.ones(100))) + n",
    "tensorflow": "float(__import__('tensorflow').reduce_sum([1.0, n]))",
    "numba": "__import__('numba').njit(lambda x: x + 1)(n)",
    "numexpr": "float(__import__('numexpr').evaluate('n + 1'))",
    "tables": "n",
    "sympy": "str(__import__('sympy').integrate(f'x**{n + 1}'))",
    "networkx": "__import__('networkx').path_graph(n + 3).number_of_edges()",
    "igraph": "__import__('igraph').Graph.Ring(n + 3).ecount()",
    "cvxpy": "(c := __import__('cvxpy')) and round(c.Problem(c.Minimize((c.Variable() - n) ** 2)).solve(), 4)",
    "highspy": "__import__('highspy').Highs().getNumCol() + n",
    "pulp": "__import__('pulp').LpVariable('x', n).lowBound",
    "ortools": "__import__('ortools.sat.python.cp_model').sat.python.cp_model.CpModel().new_int_var(0, n, 'x').name",
    "matplotlib": "len((plt := __import__('matplotlib.pyplot').pyplot).plot([1, n])) and plt.close() or n",
    "seaborn": "__import__('seaborn').color_palette(n_colors=n + 1)[0][0]",
    "plotly": "len(__import__('plotly.graph_objects').graph_objects.Figure(data=[{'y': [1, n]}]).data)",
    "altair": "n",
    "bokeh": "n",
    "PIL": "__import__('PIL.Image').Image.new('L', (10, n + 1)).size[1]",
    "cv2": "int(__import__('cv2').GaussianBlur(__import__('numpy').ones((100, 100)), (5, 5), 0).sum()) + n",
    "sqlalchemy": (
        "(sa := __import__('sqlalchemy')).create_engine('sqlite://').connect().scalar(sa.text('select 1')) + n"
    ),
    "requests": "n",
    "grpc": "n",
    "joblib": "sum((j := __import__('joblib')).Parallel(n_jobs=2)(j.delayed(abs)(i) for i in range(4))) + n",
    "uxsim": "n",
    "aequilibrae": "n",
    "biogeme": "n",
    "larch": "n",
    "osmnx": "n",
    "fiona": "n",
    "rtree": "n",
    "pyomo": "n",
    "simpy": "n",
    "openpyxl": "n",
    "libpysal": "n",
    "esda": "n",
    "momepy": "n",
    "mesa": "n",
    "pyvista": "n",
    "cartopy": "n",
    "folium": "n",
    "fastparquet": "n",
}
FLOW = """\
# %% tags=["parameters"]
config = {{}}

# %%
import {name}
from ductaflow import save_results
n = config["n"]
value = {use}
print(type(value).__name__)
save_results(value=value if isinstance(value, (int, str)) else float(value))
"""
SWEEPS = """
import json, sys, time
import pandas as pd
from ductaflow import run_instances
rows, told = pd.DataFrame({"instance_name": list("abc"), "n": range(3)}), []
for _ in range(2):
    began = time.perf_counter()
    frame = run_instances(rows, "flow/step.py", force=True, workers=2, timeout=120, on_error="continue")
    each = (time.perf_counter() - began) / len(rows)
    told.append([frame["status"].tolist(), frame.get("result.value", frame["error"]).astype(str).tolist()])
print(json.dumps({"told": told, "each": each}))
"""
_CHANGING = re.compile(r"0x[0-9a-f]+|\d\d:\d\d:\d\d[.\d]*|pid \d+")


def outputs(project: Path) -> list[str]:
    """What the notebooks show, addresses and times aside."""
    shown = []
    for path in sorted((project / "runs" / "step").glob("*/step.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        told = [joined(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"]
        shown.append(_CHANGING.sub("", json.dumps(told)))
    return shown


def joined(outputs: list[dict[str, Any]]) -> list[Any]:
    """Outputs with the parts of a stream put together: how it is cut depends on the moment."""
    found: list[Any] = []
    for output in outputs:
        if output["output_type"] != "stream":
            found.append(output)
        elif found and isinstance(found[-1], list) and found[-1][0] == output["name"]:
            found[-1][1] += "".join(output["text"])
        else:
            found.append([output["name"], "".join(output["text"])])
    return found


def try_engine(name: str, engine: str) -> dict[str, Any]:
    """Two sweeps in a fresh project."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve()
        (project / "flow").mkdir()
        (project / "pyproject.toml").write_text(f'[tool.ductaflow]\nengine = "{engine}"\npage = false\n')
        (project / "flow" / "step.py").write_text(FLOW.format(name=name, use=USES[name]))
        command = [sys.executable, "-c", SWEEPS]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=900, check=True)
        verdicts = [line for line in done.stderr.splitlines() if line.startswith("ductaflow: importing")]
        return {**json.loads(done.stdout.splitlines()[-1]), "verdict": verdicts, "outputs": outputs(project)}


def seconds_to_import(name: str) -> float:
    """In a fresh interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, check=False)
    return time.perf_counter() - began


def main(names: list[str]) -> None:
    """The table of those that are installed."""
    print(
        "| package | import s | found out | s an instance, fork | spawn | the same |\n|---|---:|---|---:|---:|---|",
        flush=True,
    )
    for name in names or USES:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            fork, spawn = try_engine(name, "fork"), try_engine(name, "spawn")
        except (subprocess.SubprocessError, ValueError) as error:
            print(f"| {name} | | {type(error).__name__} | | | NO |", flush=True)
            continue
        same = fork["told"] == spawn["told"] and fork["outputs"] == spawn["outputs"]
        found = "; ".join(line.removeprefix("ductaflow: importing ").split("; so")[0] for line in fork["verdict"])
        shown = (
            f"{seconds_to_import(name):.2f} | {found or 'imported ahead'} | {fork['each']:.2f} | {spawn['each']:.2f}"
        )
        failed = "" if set(fork["told"][1][0]) == {"done"} else f" ({fork['told'][1][1][0][:80]})"
        print(f"| {name} | {shown} | {'yes' if same else 'NO'}{failed} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
