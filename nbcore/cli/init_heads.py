"""`nbcore init --head NAME=DATA`: a train.toml for data of several methods, each of which is a head."""

OF_HEAD = ("valid", "test", "E0s", "missing")  # what is assumed of each; the rest is assumed of all


def heads_of(args) -> dict[str, list[str]]:
    """{head: its files and globs} of the options --head, in their order."""
    from nbcore.cli import UsageError
    from nbcore.errors import InputError
    from nbcore.train.heads import check_heads_names

    found = {}
    for text in args.head or []:
        name, _, files = text.partition("=")
        if not (name and files):
            raise UsageError(f"init: --head {text}: expected NAME=DATA, for example --head pbe=pbe.xyz")
        found.setdefault(name, []).append(files)
    if found and (args.files or args.start):
        what = "DATA" if args.files else "--from"
        raise UsageError(f"init: {what} and --head: with heads all data belong to one of them. Leave out {what}.")
    try:
        if found:
            check_heads_names(dict.fromkeys(found, 1.0))
    except InputError as e:
        raise UsageError(f"init: {e}") from None
    return found


def tables_of(args, parts, fit) -> tuple[dict, list[str]]:
    """(tables of train.toml, what was assumed) for heads.

    parts: {head: (files by role, training structures, audit)}; fit: makes both of one set of data.
    """
    from nbcore import data
    from nbcore.data.head_sets import joined

    each = {head: fit(args, *part) for head, part in parts.items()}
    files = {role: [f for sets, *_ in parts.values() for f in sets[role]] for role in next(iter(parts.values()))[0]}
    train = joined(train for _, train, _ in parts.values())
    train.reading.missing = {}  # each head says what it lacks
    values, assumed = fit(args, files, train, data.audit(train))
    del values["data"]
    values["heads"] = {head: tables["data"] for head, (tables, _) in each.items()}
    assumed = [text for text in assumed if not text.startswith(OF_HEAD)]
    for head, (_, of_one) in each.items():
        assumed += [f"{head}: {text}" for text in of_one if text.startswith(OF_HEAD)]
    return values, assumed
