"""Do the tests see a fault?  python tools/mutants.py [--only WORD] [--list]

Each mutant is one line of the sources made wrong, in a copy of the tree under build/mutants that is built and tested by
itself: the tests that are named with it must turn red. Prints what survives, and ends with 1 if anything does, or if
the text of a mutant is no longer in its file, once. By hand, not in CI: each one compiles some files (ccache helps).

A survivor is a missing test, or a line that nobody needs.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "build" / "mutants" / "tree"


class Mutant(NamedTuple):
    """`old` becomes `new` in `file`; some of `tests` must fail."""

    file: str
    old: str
    new: str
    tests: str


SWEEP, EDGES = "cpp/src/network/sweep.hpp", "cpp/src/potential/edge_forces.cpp"
LISTS, VERLET = "cpp/src/potential/neighbours.cpp", "cpp/src/potential/verlet_list.cpp"
LOSS, OPTIMIZERS = "cpp/src/train/loss.cpp", "cpp/src/train/optimizers.cpp"
SUMS = "cpp/src/network/gradient_sum.hpp"
MUON, POLAR = "cpp/src/train/muon.cpp", "cpp/src/train/polar.cpp"
ENERGIES = "tests/potential/test_potential.py tests/potential/test_schemes.py tests/train/test_loss_gradient.py"
ZBL, KEPT_APART = "cpp/src/potential/repulsion.cpp", "tests/potential/test_repulsion.py"
MIXED, OF_MIXED = "cpp/src/gates/mixed_sums.cpp", "tests/potential/test_mixed_sums.py"
BATTERY = "tests/contracts tests/gates"
WARP = "-m slow tests/interfaces/test_warp.py"
MUTANTS = [
    # what a sweep writes, and where
    Mutant(SWEEP, "ws.written[slot] = 0;", "ws.written[slot] = 1;", ENERGIES),
    Mutant(SWEEP, "int(r.blocks[b].halo.size())) + row * size;", "int(r.blocks[b].halo.size())) + 0 * row;", ENERGIES),
    Mutant(SWEEP, "sum[i] += share[i];", "sum[i] = share[i];", ENERGIES),
    Mutant(SWEEP, "halo ? block.child_halo.data() : block.child.data()", "block.child.data()", ENERGIES),
    Mutant(SWEEP, "inputs.end(), input) == 1;", "inputs.end(), input) >= 1;", f"{ENERGIES} tests/presets"),
    Mutant(SWEEP, "if (slot_of(slot).seeded) write_zeros(slot, ws);", "", ENERGIES),
    # forces and virial from edges
    Mutant(EDGES, "origin[a] -= f_a, children[child[e]]", "origin[a] += f_a, children[child[e]]", ENERGIES),
    Mutant(EDGES, "virial[a][c] += r[a * stride + e]", "virial[a][c] -= r[a * stride + e]", ENERGIES),
    Mutant(EDGES, "f[c * stride + e] + r[a", "f[c * stride + e] - r[a", "tests/potential"),
    Mutant(EDGES, "+= set.coefficient[a] * on_nodes[s]", "+= on_nodes[s]", ENERGIES),
    # first levels with their mixes in one
    Mutant(MIXED, "slope[k] += h_bar[k] * derivative;", "slope[k] += h_bar[k] * value;", OF_MIXED),
    Mutant(MIXED, "std::int64_t(child) * sums.channels", "std::int64_t(0) * sums.channels", OF_MIXED),
    Mutant(MIXED, "mix.parameters + p.first + p.step * species", "mix.parameters + p.first", OF_MIXED),
    # what lanes share, where they are threads: nobody else sees these
    Mutant("cpp/src/ops/coupling.hpp", "forward<1>(Y, Y_row, M);\n    sync();", "forward<1>(Y, Y_row, M);", WARP),
    Mutant("cpp/src/gates/gate.hpp", "n.forward(dual, b);\n      sync();", "n.forward(dual, b);", WARP),
    Mutant(
        "cpp/src/gates/mix.cpp",
        "for_lanes(row, [&](std::ptrdiff_t k) { f(std::ptrdiff_t(i) * row + k, b0 + c * row + k); });",
        "for (int k = 0; k < row; ++k) f(std::ptrdiff_t(i) * row + k, b0 + c * row + k);",
        WARP,
    ),
    # repulsion of cores
    Mutant(ZBL, "- 2 * slope / r + 2 * phi", "- slope / r + 2 * phi", KEPT_APART),
    Mutant(ZBL, "energies[order[parent]] += v.value / 2", "energies[order[child]] += v.value", KEPT_APART),
    Mutant(ZBL, "radii = radii_.data() + species", "radii = radii_.data() + 0 * species", KEPT_APART),
    Mutant(ZBL, "r_dot[j] * f + r[j] * f_dot", "r[j] * f_dot", KEPT_APART),
    # neighbours
    Mutant(LISTS, "n += r2_[c] < cutoff2;", "n += r2_[c] < 0.999 * cutoff2;", "tests/potential/test_neighbours.py"),
    Mutant(LISTS, "image[k] - wrap[k];", "image[k] + wrap[k];", "tests/potential/test_neighbours.py"),
    Mutant(VERLET, "moved_[i][k] - moved_[pairs_[p].child][k]", "moved_[i][k]", "tests/potential/test_verlet_list.py"),
    Mutant(
        VERLET, "0.5 * ((1 - std::sqrt(size))", "1.0 * ((1 - std::sqrt(size))", "tests/potential/test_verlet_list.py"
    ),
    Mutant(VERLET, "(1 - std::sqrt(size)) * reach", "reach", "tests/potential/test_verlet_list.py"),
    # gates
    Mutant(
        "cpp/src/gates/norm.cpp",
        "at_n), reciprocal(length<Lane>(x, d, row)))",
        "at_n), length<Lane>(x, d, row))",
        BATTERY,
    ),
    Mutant(
        "cpp/src/gates/mix.cpp",
        "if (b.inputs[p.input].fresh) mix<false>",
        "if (!b.inputs[p.input].fresh) mix<false>",
        ENERGIES,
    ),
    Mutant("cpp/src/ops/layer_norm.hpp", "- mean) - product(slope, load<Lane>(y, j))", "- mean)", BATTERY),
    Mutant("cpp/src/gates/radial_network.cpp", "E_bar = E_bar + load_scalar<Scalar>(from, n);", ";", BATTERY),
    Mutant("cpp/src/gates/normalise.cpp", "*rho_bar -= total;", "*rho_bar += total;", BATTERY),
    Mutant("cpp/src/gates/gated.cpp", "put(g, at_g, product(a_bar, slope));", "put(g, at_g, a_bar);", BATTERY),
    Mutant("cpp/src/gates/gated.cpp", "to[k] += written", "to[k] = written", BATTERY),
    Mutant("cpp/src/gates/gated.cpp", "layout[p].parity < 0 ? Activation::tanh : function", "function", BATTERY),
    Mutant("cpp/src/gates/mix.cpp", "{A.value, C_bar.dot}}", "{A.value, C_bar.value}}", BATTERY),
    Mutant("cpp/src/gates/mix.cpp", "if (p.by_species) p.W += sizes[0];", "if (p.by_species) p.W += 0;", BATTERY),
    Mutant("cpp/src/gates/mix.cpp", "b.weights_bar[k] += bar[at]", "b.weights_bar[k] = bar[at]", BATTERY),
    Mutant("cpp/src/gates/mix.cpp", "rule.tied ? rule.row_of[input] : k[kind]", "k[kind]", "tests/gates -k mix"),
    Mutant("cpp/src/gates/norm.cpp", "bar = product(load_register(b.weights + at), bar);", ";", BATTERY),
    Mutant(
        "cpp/src/gates/invariants.cpp", "[terms[k].b], scaled, x[terms[k].a]", "[terms[k].b], scaled, along", BATTERY
    ),
    Mutant("cpp/src/gates/group_norm.cpp", "first + std::int64_t(g) * group + c", "first + c", "tests/gates"),
    Mutant("cpp/src/gates/edge_network.cpp", "product(e, product(bar, slope))", "product(bar, slope)", BATTERY),
    Mutant("cpp/src/gates/norm_activation.cpp", "if (unit) subtract_product", "if (false) subtract_product", BATTERY),
    Mutant("cpp/src/gates/triplet.cpp", "product(product(t.inside, sum),", "product(sum,", BATTERY),
    Mutant("cpp/src/gates/triplet.cpp", "subtract_product(c_bar, over,", "add_product(c_bar, over,", BATTERY),
    Mutant("cpp/src/gates/embedding.cpp", "written<Lane>(b.output.own_bar(0))", "b.output.own_bar(0).value", BATTERY),
    Mutant("cpp/src/gates/zeroth_order.cpp", "= b.weights_bar + table;", "= b.weights_bar;", BATTERY),
    Mutant("cpp/src/gates/radial_network.cpp", "if (!linear_ || k + 1 <", "if (k + 1 <", "tests/ops"),
    Mutant("cpp/src/ops/radial_spline.cpp", "r[n] *= 1 - 1e-14;", "", "tests/potential/test_radial_splines.py"),
    # losses and optimizers
    Mutant(LOSS, "s.a = w * loss.slope(x) / n;", "s.a = w * loss.slope(x);", "tests/train/test_loss_gradient.py"),
    Mutant(LOSS, "s.S[c][a] += 0.5 * slope;", "s.S[c][a] += 0 * slope;", "tests/train/test_loss_gradient.py"),
    Mutant(LOSS, "delta * (std::abs(x) - 0.5 * delta)", "delta * std::abs(x)", "tests/train/test_loss_gradient.py"),
    Mutant(SUMS, "moved_after = 64;", "moved_after = 1 << 30;", "tests/train/test_single_precision.py"),
    Mutant(SUMS, "to[w] += from[w], from[w] = 0;", "to[w] += from[w];", "tests/train/test_single_precision.py"),
    Mutant(OPTIMIZERS, "std::pow(beta2, t)", "std::pow(beta1, t)", "tests/train/test_optimizers.py"),
    Mutant(OPTIMIZERS, "1.0 - lr * weight_decay", "1.0 - weight_decay", "tests/train/test_optimizers.py"),
    Mutant(MUON, "columns > room / rows", "false", "tests/train/test_optimizers.py"),
    Mutant(MUON, "if (tall) put_look_ahead", "if (true) put_look_ahead", "tests/train/test_muon.py"),
    Mutant(MUON, "most < size ? size : most", "size", "tests/train/test_muon.py"),
    Mutant(MUON, "if (inside[k]) continue;", "", "tests/train/test_muon.py"),
    Mutant(POLAR, "take(j, k), so3::transpose(Y)", "take(j, k)", "tests/train/test_muon.py"),
    Mutant(POLAR, "0.1675466f", "0.1685466f", "tests/train/test_muon.py"),
    Mutant(POLAR, "std::max(rows[p][p], least)", "rows[p][p]", "tests/train/test_muon.py"),
    Mutant(POLAR, "from = Lane{}", "from = from", "tests/train/test_muon.py"),
    Mutant(POLAR, "      so3::transpose(part);", "", "tests/train/test_muon.py"),
    # files and the C ABI
    Mutant(
        "cpp/src/potential/model_file.cpp",
        "sha.update(bytes.substr(at + digest_digits));",
        "sha.update(bytes.substr(at + digest_digits, bytes.size() - at - digest_digits - 1));",
        "tests/potential/test_model_file.py",
    ),
    Mutant(
        "cpp/src/capi/request.cpp", "if (n < 0 || n > INT32_MAX)", "if (n > INT32_MAX)", "tests/interfaces/test_capi.py"
    ),
    Mutant(
        "cpp/src/potential/domain.cpp",
        "Vec3{0 - r[0], 0 - r[1], 0 - r[2]}",
        "Vec3{r[0], r[1], r[2]}",
        "tests/interfaces/test_capi_domains.py",
    ),
    Mutant(
        "cpp/src/potential/edge_forces.cpp",
        "children[child[e]][a][c] += r[a * stride + e] * f[c * stride + e];",
        "children[child[e]][c][a] += r[a * stride + e] * f[c * stride + e];",
        "tests/interfaces/test_capi_domains.py",
    ),
    # Python
    Mutant(
        "nbcore/train/checkpoint.py",
        "(Path(folder) / LAST, Path(folder) / PREVIOUS)",
        "(Path(folder) / PREVIOUS, Path(folder) / LAST)",
        "tests/train tests/interfaces/test_cli_train.py",
    ),
    Mutant(
        "nbcore/train/schedule.py", "if self.waiting >= self.patience", "if self.waiting > self.patience", "tests/train"
    ),
    Mutant(
        "nbcore/train/trainer.py",
        "(1 + self.steps) / (10 + self.steps)",
        "(1 + self.steps) / (9 + self.steps)",
        "tests/train",
    ),
    Mutant(
        "nbcore/cell.py",
        "float(abs(np.linalg.det(cell)))",
        "float(np.linalg.det(cell))",
        "tests/potential tests/interfaces/test_ase.py",
    ),
    Mutant("nbcore/md.py", "f.truncate(size)", "pass", "tests/potential/test_md.py tests/interfaces/test_cli_md.py"),
    Mutant("nbcore/_threads.py", "cores = min(cores, granted)", "cores = granted", "tests/interfaces/test_threads.py"),
    Mutant(
        "nbcore/data/units.py",
        '"kbar": 0.1 * _ase.GPa',
        '"kbar": 1.0 * _ase.GPa',
        "tests/data tests/interfaces/test_cli_data.py",
    ),
]


def run(*command, **kwargs):
    return subprocess.run([str(word) for word in command], cwd=TREE, capture_output=True, text=True, **kwargs)


def copy():
    """The files of this tree that Git knows or could know; what is the same is not touched: builds are short."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, TREE / name
        if not source.is_file() or (target.is_file() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def outcome(mutant):
    """'killed', or what else."""
    path = TREE / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        return f"stale: its text stands {text.count(mutant.old)} times in the file"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        built = run(sys.executable, "tools/dev.py", "build")  # without the mutant before, too
        if built.returncode:
            return f"does not compile: {(built.stdout + built.stderr)[-600:]}"
        environment = {**os.environ, "PYTHONPATH": str(TREE)}
        tested = run(
            sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *mutant.tests.split(), env=environment
        )
        return "killed" if tested.returncode == 1 else f"SURVIVED (pytest ends with {tested.returncode})"
    finally:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", metavar="WORD", help="mutants whose file or text has this word")
    parser.add_argument("--list", action="store_true", help="print them")
    args = parser.parse_args()
    chosen = [m for m in MUTANTS if args.only in m.file or args.only in m.old]
    if args.list:
        return print(*(f"{m.file}: {m.old}  ->  {m.new}" for m in chosen), sep="\n")
    copy()
    built = run(sys.executable, "tools/dev.py", "build")
    if built.returncode:
        sys.exit(built.stdout + built.stderr)
    left = 0
    for k, mutant in enumerate(chosen):
        what = outcome(mutant)
        left += what != "killed"
        print(f"{k + 1}/{len(chosen)} {what}: {mutant.file}: {mutant.old}  ->  {mutant.new}", flush=True)
    print(f"{len(chosen) - left} of {len(chosen)} killed")
    sys.exit(left > 0)


if __name__ == "__main__":
    main()
