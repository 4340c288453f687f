"""`nbcore verify MODEL`: physics and numerics of a model, checked and measured; the certificate stays in its file."""

import json

from nbcore.certificate.certify import AT_LEAST
from nbcore.cli import console
from nbcore.errors import NumericsError
from nbcore.files import MODEL, check_output

VERDICT = {True: "pass", False: "FAIL", None: "-"}


def add_parser(subparsers):
    """The options of `nbcore verify`."""
    p = subparsers.add_parser(
        "verify",
        help="physics checks of a model, pass or fail",
        description="Checks that forces and virials are derivatives of the energy, that rotations, reflections, "
        "permutations and translations do what they must, that energies are smooth at the cutoff, that threads and "
        "kernel sets give the same numbers; on a cluster and a crystal of the model's elements, and on STRUCTURES. "
        "Figures are differences in units of the largest number they are compared with. The certificate is kept in "
        "the model file, where `nbcore inspect` shows it. Exit code 5 if a check fails.",
    )
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore): a potential or a committee")
    p.add_argument("structures", metavar="STRUCTURE", nargs="*",
                   help="structures to check on as well: any file ASE reads; FILE@3 is its frame 3 (last)")  # fmt: skip
    p.add_argument("--json", action="store_true", help="everything, with the curves of dimers, as one JSON object")
    p.add_argument("--output", metavar="FILE", help="write the model with its certificate here (default: into MODEL)")
    p.add_argument("--force", action="store_true", help="replace FILE, where it is no model")
    p.add_argument("--dry-run", action="store_true", help="check alone, keep nothing")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of the structures and rotations (0)")


def run(args):
    """Checks, prints, keeps; 5 where a check fails."""
    import nbcore
    from nbcore.certificate import certify

    model = nbcore.load(args.model)
    output = args.output or args.model
    if not args.dry_run:
        check_output(output, MODEL, args.structures, args.force)
    certificate = certify(args.model, [_read(name) for name in args.structures], args.seed)
    if args.json:
        console.out(json.dumps({"file": str(args.model), **certificate.as_dict()}, indent=2))
    elif not args.quiet:
        _print(args.model, model, certificate, len(args.structures))
    kept = certificate.as_dict(curves=False)
    if not args.dry_run and (args.output or model.description.get("certificate") != kept):
        model.annotate(certificate=kept)
        model.save(output, overwrite=True)
    failed = [check.name for check in certificate.checks if check.passed is False]
    if failed:
        raise NumericsError(f"{args.model}: {', '.join(failed)}: not within the limits; see the table.")
    if not args.json and not args.quiet:
        n = sum(check.passed is not None for check in certificate.checks)
        where = "nothing is kept (--dry-run)" if args.dry_run else f"the certificate is kept in {output}"
        console.out(f"\n{n} checks passed; {where}.")
    return 0


def _read(name):
    """A structure that a user names."""
    from nbcore.data.start import read_structure

    return read_structure(name)[0]


def _print(path, model, certificate, n_given):
    """The table of checks, the dimers, and what to be wary of."""
    from nbcore.cli.inspect import one_line

    console.out(console.block(one_line(path, model), "", "  "))
    given = f", and on {n_given} of yours" * (n_given > 0)
    console.out(console.block(f"checked on a cluster and a crystal of its elements{given}\n", "", ""))
    console.out(f"  {'':<13}{'figure':>9}   {'must be':<10}{'':<6}")
    for check in certificate.checks:
        console.out(f"  {check.name:<13}{_figure(check):>9}   {_limit(check):<10}{VERDICT[check.passed]:<6}", end="")
        console.out(check.what + (f" ({check.note})" if check.note else ""))
    if certificate.dimers:
        console.out("\n  two atoms    minimum    depth   looked at from")
        for d in certificate.dimers:
            bound = f"{d.minimum:>7.2f} Å{d.depth:>7.2f} eV" if d.depth > 0 else f"{'not bound':>19}"
            console.out(f"  {d.pair:<11}{bound}{d.begin:>11.2f} Å{'' if d.repulsive else '   not repulsive there'}")
    bad = [d for d in certificate.dimers if not d.repulsive]
    if bad:
        nearest = ", ".join(f"{d.pair} {d.begin:.2f} Å" for d in bad[:6]) + ", ..." * (len(bad) > 6)
        console.remark(
            f"Atoms that come this near are not driven apart: {nearest}. Training knows nothing of such distances; "
            'repulsion = "zbl" under [model] does.'
        )


def _figure(check):
    if check.figure is None:
        return "-"
    return f"{check.figure:.0f}" if check.figure == int(check.figure) else f"{check.figure:.1e}"


def _limit(check):
    if check.limit is None or check.figure is None:
        return ""
    sign = ">=" if check.name == AT_LEAST else "<="
    return f"{sign} {check.limit:.0e}" if 0 < check.limit < 1 else f"{sign} {check.limit:g}"
