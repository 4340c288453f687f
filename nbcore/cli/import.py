"""`nbcore import FILE`: a model of another program becomes an nbcore model."""

from pathlib import Path

from nbcore.cli import UsageError, console
from nbcore.files import MODEL, check_output


def add_parser(subparsers):
    """The options of `nbcore import`."""
    p = subparsers.add_parser(
        "import",
        help="models of other programs",
        description="Reads a model of another program (MACE, SevenNet, ANI, n2p2) without that program, and writes the "
        "nbcore model that computes the same.",
        epilog="What is read, and what is refused: docs/importing.md.",
    )
    p.add_argument(
        "model", metavar="FILE", help="a .model file of MACE, a checkpoint of SevenNet, a folder of ANI or n2p2"
    )
    p.add_argument("--output", metavar="NAME.nbcore", help="the model file (FILE with the ending .nbcore, here)")
    p.add_argument("--head", metavar="NAME", help="which of several heads of the model")
    p.add_argument(
        "--input",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="of a model that reads charge or spin: the value that the potential is for",
    )
    p.add_argument("--length-unit", metavar="UNIT", help="of a network of n2p2: Bohr, Angstrom")
    p.add_argument("--energy-unit", metavar="UNIT", help="of a network of n2p2: Hartree, eV, kcal/mol, kJ/mol")
    p.add_argument("--licence", metavar="TEXT", help="under which the model is published, noted in the file")
    p.add_argument("--force", action="store_true", help="replace a file that is no nbcore model")


def run(args):
    """Reads, converts, writes and says what it is."""
    from nbcore.cli.inspect import one_line
    from nbcore.importing import import_model

    output = Path(args.output or f"{Path(args.model).stem}.nbcore")
    check_output(output, MODEL, inputs=[args.model], force=args.force)
    potential = import_model(
        args.model, args.head, dict(map(_named_number, args.input)), args.length_unit, args.energy_unit
    )
    about = dict(potential.description["about"])
    if args.licence:
        about["licence"] = args.licence
        potential.annotate(about=about)
    potential.save(output, overwrite=args.force)
    console.out(one_line(output, potential))
    console.out(f"  {about['description']}, {len(potential.parameters)} parameters")
    console.out(f"  licence   {about['licence']}")
    console.out(f"wrote {output}; `nbcore inspect {output}` says more")
    return 0


def _named_number(text):
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f"--input takes NAME=VALUE, such as total_charge=0, got {text!r}.") from None
