"""report.html: one file to send around, with data, errors, plots, settings, versions and remarks."""

import base64
import contextlib
import platform
from functools import partial
from html import escape
from importlib import metadata
from pathlib import Path

import nbcore
from nbcore.files import Kind, replacing
from nbcore.outputs import describe
from nbcore.results import tables
from nbcore.results.comparison import GPA

PLOTS = {
    "parity.png": "Predicted against reference; train faint, behind the other sets.",
    "errors.png": "Force errors of atoms: against the force, by element, against the distance to the next atom.",
    "learning_curve.png": "Errors during training.",
}
UNITS = "Units: eV, Å, eV/Å; stress = (1/V) dE/d(strain), tension positive. Force errors are over components."
PACKAGES = ("numpy", "scipy", "ase")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #1a1a1a }
h1 { font-size: 1.6em; margin-bottom: 0 } h2 { font-size: 1.15em; margin: 2em 0 .4em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse }
td, th { padding: .15em .8em; text-align: right; font-variant-numeric: tabular-nums }
td:first-child, th:first-child { text-align: left } th { font-weight: 600; border-bottom: 1px solid #999 }
.keys td { text-align: left; font-size: .92em } img { width: 100%; max-width: 60em } p { margin: .4em 0 }
.remark { border-left: 4px solid #d1495b; padding-left: .7em } .quiet { color: #555 }
pre { font-size: .85em; white-space: pre-wrap; background: #f6f6f6; padding: .6em }
""".strip()

REPORT = Kind("report of nbcore", b'<meta name="generator" content="nbcore">')


def write(path, potential, errors, data_text, remarks, summary, folder, overwrite=False) -> None:
    """Writes the report of a run.

    errors: list of Errors; data_text: what was read, as on the screen; remarks, summary: lists of sentences;
    folder: the run folder, whose plots are put into the file. overwrite: replace a file that is no report, too.
    """
    description = potential.description
    name = description.get("training", {}).get("name", "potential")
    about = {key: value for key, value in description.get("about", {}).items() if value}
    body = [f"<h1>{escape(name)}</h1>", _paragraph(about.pop("description", ""), "quiet")]
    body += [_paragraph(line) for line in summary] + [_paragraph(f"! {r}", "remark") for r in remarks]
    body += [_section("Errors"), error_table(errors), _elements(errors), _plots(Path(folder) / "plots")]
    if data_text:
        body += [_section("Data"), f"<pre>{escape(data_text)}</pre>"]
    files = description.get("training", {}).get("files", [])
    if files:
        rows = [(f["name"], f["n"], f["sha256"]) for f in files]
        body.append(_rows([("file", "structures", "SHA-256"), *rows], "keys", head=True))
    if about:
        body += [_section("About"), _rows(about.items(), "keys")]
    body += [_section("Model"), _rows(_model(potential), "keys")]
    settings = description.get("training", {}).get("settings", {})
    body += [_section("Settings"), _rows(settings.items(), "keys")]
    body += [_section("Versions"), _rows(versions().items(), "keys")]
    body.append(_paragraph(UNITS, "quiet"))
    head = f'{REPORT.mark.decode()}<meta charset="utf-8"><title>{escape(name)}</title><style>{STYLE}</style>'
    content = "\n".join(filter(None, body))
    with replacing(path, "w", REPORT, overwrite) as f:
        f.write(f'<!doctype html><html lang="en"><head>{head}</head><body>\n{content}\n</body></html>\n')


def versions() -> dict:
    """Releases of nbcore and what it stands on, and the machine."""
    found = {"nbcore": nbcore.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    kernels = nbcore.build_info()["kernel_set"]
    return {**found, "machine": f"{platform.system()} {platform.machine()}, {kernels}"}


def error_table(errors) -> str:
    """RMSE and MAE of every set, in meV, meV/Å and GPa, and of covariant outputs in their own unit."""
    columns = [
        ("energy RMSE<br>meV", "energy_rmse", 1e3, 1), ("MAE<br>meV", "energy_mae", 1e3, 1),
        ("energy RMSE<br>meV/atom", "energy_rmse_per_atom", 1e3, 2), ("MAE<br>meV/atom", "energy_mae_per_atom", 1e3, 2),
        ("forces RMSE<br>meV/Å", "forces_rmse", 1e3, 1), ("MAE<br>meV/Å", "forces_mae", 1e3, 1),
        ("largest<br>meV/Å", "forces_max", 1e3, 0), ("% of RMS", "forces_percent", 1, 1),
        ("stress RMSE<br>GPa", "stress_rmse", GPA, 3), ("MAE<br>GPa", "stress_mae", GPA, 3),
    ]  # fmt: skip
    columns = [(head, partial(_figure, figure), *rest) for head, figure, *rest in columns]
    for name, output in {name: output for e in errors for name, output in e.kinds.items()}.items():
        for c in tables.output_columns(output):
            value = partial(tables.value_of, group=name, column=c)
            columns.append((f"{name} {c.head}<br>{escape(c.unit)}", value, 1, c.decimals))
    columns = [c for c in columns if any(c[1](e) is not None for e in errors)]
    lines = ["<table><tr><th></th><th>n</th>" + "".join(f"<th>{head}</th>" for head, *_ in columns) + "</tr>"]
    for e in errors:
        cells = [tables.number(of(e), tables.Column("", "", "", *rest)) for _, of, *rest in columns]
        lines.append("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in (e.name, e.n_structures, *cells)) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _figure(name, errors):
    return getattr(errors, name)


def _elements(errors):
    """Force errors by element, one row per set."""
    symbols = list(dict.fromkeys(symbol for e in errors for symbol in e.by_element))
    if not symbols:
        return ""
    rows = [("forces RMSE, meV/Å", *symbols)]
    rows += [
        (e.name, *(f"{1e3 * e.by_element[s]:.1f}" if s in e.by_element else "-" for s in symbols))
        for e in errors
        if e.by_element
    ]
    return "<p></p>" + _rows(rows, "", head=True)


def _plots(folder):
    """Every plot there is, inside the file itself."""
    parts = []
    for file, caption in PLOTS.items():
        if (folder / file).exists():
            content = base64.b64encode((folder / file).read_bytes()).decode()
            parts.append(f'<img alt="{escape(caption)}" src="data:image/png;base64,{content}">')
            parts.append(_paragraph(caption, "quiet"))
    return "\n".join(parts)


def _model(potential):
    description = potential.description
    yield "preset", description.get("preset", "-")
    yield "elements", " ".join(potential.species)
    yield "cutoff", f"{potential.cutoff:g} Å, {potential.levels} levels"
    yield "parameters", potential.parameters.size
    of_heads = any(isinstance(e, dict) for e in potential.E0s.values())
    for head, E0s in (potential.E0s if of_heads else {"": potential.E0s}).items():
        yield f"E0 {head}".strip(), "   ".join(f"{s} {e:.4f}" for s, e in E0s.items()) + " eV"
    for name, output in potential.outputs.items():
        yield f"output {name}", describe(output)
    yield from description.get("options", {}).items()


def _section(title):
    return f"<h2>{escape(title)}</h2>"


def _paragraph(text, kind=""):
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""


def _rows(rows, kind, head=False):
    lines = []
    for row in rows:
        cell = "th" if head and not lines else "td"
        lines.append("<tr>" + "".join(f"<{cell}>{escape(str(x))}</{cell}>" for x in row) + "</tr>")
    return f'<table class="{kind}">' + "\n".join(lines) + "</table>"
