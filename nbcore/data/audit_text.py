"""The block "Data" of the screen, the log and the report: an Audit as text."""

import os
import textwrap

from ase import units

from nbcore.data.audit import Audit

COLUMN = 21


def audit_text(audit: Audit, width: int = 100) -> str:
    """The figures of an audit, a line each, wrapped to `width` columns; remarks are apart, in `audit.remarks`.

    >>> print(audit_text(nbcore.data.audit(nbcore.data.read("train.xyz"))))
    """
    rows = [*_files(audit), ("labels", _labels(audit)), ("elements", _elements(audit))]
    rows += [("E0", _E0(audit)), ("binding energy", _binding(audit)), ("forces", _forces(audit))]
    if audit.stress_rms is not None:
        rows.append(("stress", f"RMS {audit.stress_rms / units.GPa:.3g} GPa, {audit.labelled['stress']} structures"))
    for name, (rms, largest, unit) in audit.outputs.items():
        rows.append((name, f"RMS {rms:.3g}, largest {largest:.3g} {unit or '(unit not stated)'}, components"))
    rows += [("shortest distances", _shortest(audit)), ("checks", _checks(audit))]
    return "\n".join(line for head, text in rows if text for line in _row(head, text, width))


def _row(head, text, width):
    indent = " " * (COLUMN + 2)
    first = f"  {head:<{COLUMN - 1}} " if len(head) < COLUMN else f"  {head} "
    parts = text.replace("  ", "\x00 ").replace(" ", "\xa0").replace("\x00\xa0", "  ") if ";" in text else text
    options = dict(width=max(40, width), break_long_words=False, break_on_hyphens=False)
    wrapped = textwrap.wrap(parts, initial_indent=first, subsequent_indent=indent, **options)
    return [line.replace("\xa0", " ") for line in wrapped]


def _files(audit):
    names = _short_names([name for name, *_ in audit.files])
    shown = audit.files if len(audit.files) <= 12 else audit.files[:10]
    for (_, count, isolated, role), name in zip(shown, names, strict=False):
        parts = [f"{count:6d} structure{'s' if count != 1 else ' '}"] if count else []
        if isolated:
            parts.append(f"{isolated:{6 if not count else 1}d} isolated atom{'s' * (isolated > 1)}")
        yield f"{name:<{max(map(len, names))}}", "   ".join([*parts, *([role] if role and count else [])])
    if len(audit.files) > len(shown):
        rest = audit.files[len(shown) :]
        yield f"{len(rest)} more files", f"{sum(f[1] for f in rest):6d} structures"


def _short_names(names):
    """The shortest tails of the paths that still tell them apart."""
    for depth in range(1, 6):
        tails = ["/".join(os.path.normpath(n).split(os.sep)[-depth:]) for n in names]
        if len(set(tails)) == len(tails):
            return tails
    return names


def _labels(audit):
    parts = []
    for label in ("energy", "forces", "stress"):
        count = audit.labelled.get(label, 0)
        keys = audit.keys.get(label, []) + (audit.keys.get("virial", []) if label == "stress" else [])
        if not count and audit.outputs:
            continue
        if not count:
            parts.append(f"no {label}" + (" (no cell)" if label == "stress" and not audit.periodic else ""))
            continue
        whole = audit.periodic if label == "stress" else audit.n
        parts.append(f"{label} [{', '.join(keys)}]" + (f" ({count} of {whole})" if count < whole else ""))
    for name in audit.outputs:
        count, keys = audit.labelled[name], audit.keys.get(name, [])
        parts.append(f"{name} [{', '.join(keys)}]" + (f" ({count} of {audit.n})" if count < audit.n else ""))
    return "   ".join(parts)


def _elements(audit):
    low, high = audit.atoms
    if len(audit.formulas) == 1:
        text = f"{next(iter(audit.formulas))}, {high} atoms"
    else:
        text = f"{' '.join(audit.species)}, {len(audit.formulas)} compositions, {low} to {high} atoms"
    if 0 < audit.periodic:
        text += ", periodic" if audit.periodic == audit.n else f", {audit.periodic} of {audit.n} periodic"
    if audit.neighbours is not None:
        text += f";  {audit.neighbours:.1f} neighbours within {audit.cutoff:.1f} Å"
    return text


def _E0(audit):
    if audit.E0 is None:
        return ""
    sources = {
        "isolated": "isolated atoms",
        "given": "given",
        "model": "of the model",
        "shifted": "of the model, shifted",
    }
    source = sources.get(audit.E0.source, f"fitted, rank {audit.E0.rank}")
    return "   ".join(f"{s} {e:.4f}" for s, e in audit.E0.energies.items()) + f" eV  ({source})"


def _binding(audit):
    if audit.binding is None:
        return ""
    mean = f"{audit.binding:.3f} eV/atom, " if audit.E0.source != "fit" else "about the fitted E0: "
    if audit.spread_per_structure is not None:
        return f"{mean}spread {_milli(audit.spread_per_structure)} meV per structure"
    return f"{mean}spread {_milli(audit.spread)} meV/atom"


def _milli(energy):
    return f"{1000 * energy:.3g}" if energy < 1 else f"{1000 * energy:.0f}"


def _forces(audit):
    if audit.forces_rms is None:
        return ""
    net = audit.net_force[0]
    small = f"below {1e-7 if net < 1e-7 else 1e-4:.0e}".replace("e-0", "e-") if net < 1e-4 else f"up to {net:.2g}"
    return f"RMS {audit.forces_rms:.3f}, largest {audit.forces_max[0]:.2f} eV/Å;   net force {small} eV/Å"


def _shortest(audit):
    parts = [f"{pair} {d:.3f}" for pair, (d, _) in list(audit.shortest.items())[:8]]
    if not parts:
        return ""
    frame = next(iter(audit.shortest.values()))[1].partition(", frame ")[2].partition(" ")[0]
    parts[0] += f" (frame {frame})"
    more = f"   and {len(audit.shortest) - 8} more pairs" if len(audit.shortest) > 8 else ""
    return "   ".join(parts) + " Å" + more


def _checks(audit):
    within = len(audit.duplicates) - sum(audit.shared.values())
    parts = ["no duplicates" if not within else f"{within} duplicates"]
    parts.append("no outliers" if not audit.outliers else f"{audit.outliers} outliers")
    parts += ["units plausible" if audit.units_plausible else "units doubtful"]
    if any(role for *_, role in audit.files):
        shared = sum(audit.shared.values())
        parts.append("valid and test disjoint from train" if not shared else f"{shared} structures in two sets")
    of = f"of {audit.looked_at} structures, evenly spaced: " if audit.looked_at else ""
    return of + ", ".join(parts)
