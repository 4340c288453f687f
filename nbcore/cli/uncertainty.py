"""`nbcore uncertainty MODEL TRAIN...`: lets a model know how large its errors are, from the data of its training."""

from nbcore.cli import console
from nbcore.errors import InputError
from nbcore.files import MODEL, check_output


def add_parser(subparsers):
    """The options of `nbcore uncertainty`."""
    from nbcore.cli import evaluation
    from nbcore.cli.data import add_reader_options

    p = subparsers.add_parser(
        "uncertainty",
        help="let a model know how large its errors are",
        description="Adds to a model what `nbcore evaluate --uncertainty`, ASE and C read: expected errors of energies "
        "and forces. A potential learns how far atoms are from those of TRAIN, from its last layer; a committee has "
        "its spread. Both are scaled on the errors for labelled structures that were not trained on. `nbcore train` "
        "does the same at its end.",
    )
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore): a potential or a committee")
    p.add_argument("train", metavar="TRAIN", nargs="+", help="the data of the training: files or globs")
    p.add_argument(
        "--calibrate", metavar="DATA", nargs="+",
        help="labelled data that was not trained on (TRAIN itself, where errors are smaller than elsewhere)",
    )  # fmt: skip
    p.add_argument("--output", metavar="FILE", help="write the model here (default: into MODEL itself)")
    p.add_argument("--force", action="store_true", help="replace FILE, where it is no model")
    p.add_argument("--threads", type=evaluation.threads, metavar="N", help="at most so many (the cores it may use)")
    add_reader_options(p)


def run(args):
    """Reads, fits, scales, writes."""
    import nbcore
    from nbcore import data
    from nbcore.cli.data import reader_options
    from nbcore.train import add_uncertainty

    model = nbcore.load(args.model)
    output = args.output or args.model
    check_output(output, MODEL, [*args.train, *(args.calibrate or [])], args.force)
    sets = []
    for files in filter(None, (args.train, args.calibrate)):
        read = data.read(files, require=(), missing="mask", **reader_options(args, model.outputs))
        sets.append([*read, *read.isolated] if files is args.train else list(read))
        if not sets[-1]:
            raise InputError(f"{' '.join(files)}: no structures.")
        for remark in read.reading.remarks if not args.quiet else []:
            console.remark(remark)
    known = add_uncertainty(model, *sets, threads=nbcore.threads(args.threads))
    model.save(output, overwrite=True)
    if not args.quiet:
        kind = {"last_layer": "distance of the last layer's features", "committee": "spread of the members"}
        console.out(f"{output} knows how large its errors are, from the {kind[known['kind']]}.")
        if not args.calibrate:
            console.remark(
                "Scaled on the errors for TRAIN itself, smaller than others: give data that was not trained on, "
                "--calibrate DATA"
            )
    return 0
