"""`nbcore train`: trains a potential as train.toml says, or continues what was interrupted."""

import math
import re
from pathlib import Path

HELP = "train a potential, or continue what was interrupted"


def add_parser(subparsers):
    """`nbcore train train.toml [...]`."""
    from nbcore.cli import evaluation

    parser = subparsers.add_parser(
        "train",
        help=HELP,
        description="Trains as train.toml says, in a folder called after its name. The same command continues a run "
        "that was interrupted. `nbcore init DATA...` writes a train.toml.",
    )
    parser.add_argument("config", help="the configuration, train.toml")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[],
        help="change one key, for example --set training.max_epochs=50",
    )  # fmt: skip
    parser.add_argument("--restart", action="store_true", help="begin again; the old run is kept as NAME.1")
    parser.add_argument("--force", action="store_true", help="replace files of others in the run folder")
    parser.add_argument("--dry-run", action="store_true", help="print data, model and plan (time, memory) and stop")
    parser.add_argument("--output", metavar="DIR", help="the run folder (default: NAME, where the command is started)")
    parser.add_argument(
        "--threads", type=evaluation.threads, metavar="N", help="threads (default: the cores this process may use)"
    )


def run(args) -> int:
    """Exit code of the command."""
    from nbcore.config import load
    from nbcore.identity import of_installation
    from nbcore.ranks import world
    from nbcore.train.fit import checkpoint_keys, display_of
    from nbcore.train.run_folder import open_run, run_of_ranks

    ranks = world()
    with ranks.guard():
        config = ranks.together(lambda: load(args.config, args.overrides))
        chosen = args.threads if args.threads is not None else config.training.threads
        threads = ranks.threads(None if chosen == "auto" else chosen)
        ranks.same(of_installation() | checkpoint_keys(flat(config)))
        folder = Path(args.output or config.name)
        if args.dry_run:
            with display_of(ranks, args.quiet) as display:
                return train(config, folder, None, display, threads, args.config, ranks)
        inputs = [args.config, *map(str, config_files(config))]
        opening = open_run(folder, config.name, args.restart, inputs, args.force, config.heads)
        with run_of_ranks(ranks, opening) as run_folder, display_of(ranks, args.quiet, run_folder) as display:
            return train(config, folder, run_folder, display, threads, args.config, ranks)


def train(config, folder, run_folder, display, threads, origin, ranks) -> int:
    """Data, model, plan, epochs, result: in the order in which the screen shows them. Without run_folder no epochs."""
    import nbcore
    from nbcore.cli.train_data import data_of
    from nbcore.config import write_config
    from nbcore.files import same_file
    from nbcore.train.fit import Job, carry_out, prepare, show_plan

    info, config_flat = nbcore.build_info(), flat(config)
    machine = f"nbcore {nbcore.__version__}   {f'{ranks.size} ranks x ' * (ranks.size > 1)}{threads} "
    machine += f"thread{'s' * (threads > 1)}   {info['kernel_set']}   "
    machine += config.training.precision
    display.header(machine, f"seed {config.seed}   -> {folder}/")
    if run_folder and ranks.first:
        run_folder.check("config", config_flat, origin)
        if not same_file(folder / "config.toml", [origin]):  # a run that is continued from its own copy
            write_config(config, folder / "config.toml", overwrite=True)

    settings = make_settings(config)
    data, potential, sets = ranks.together(lambda: data_of(config, display, run_folder))
    limit = seconds(config.training.max_time)
    job = Job(config.name, threads, limit, 60 * config.training.checkpoint_minutes, origin=origin, ranks=ranks)
    job.size, job.start_counts = (config.model.size, False) if config.model else ("", True)
    job.tensorboard = config.training.tensorboard
    job.again, job.last_layer = "The same command continues.", config.uncertainty.last_layer
    if config.uncertainty.committee > 1 and run_folder:
        from nbcore.cli.train_committee import train_committee

        return train_committee(config, sets, data, job, display, run_folder)
    if run_folder is None:
        show_plan(ranks.together(lambda: prepare(potential, data, settings, job)), data, job, display)
        return 0
    _, reason = carry_out(potential, data, settings, job, display, run_folder, config_flat)
    return 128 + reason if isinstance(reason, int) else 0


def config_files(config) -> list[str]:
    """The files that a configuration reads, globs resolved."""
    import glob

    parts = []
    for data in config.heads.values() or [config.data]:
        parts += [data.train, data.valid, data.test, data.isolated_atoms]
    parts += [config.fine_tune.model, config.fine_tune.replay] if config.fine_tune else []
    named = [part for part in parts if not isinstance(part, float)]
    return [file for part in named for path in config.paths(part) for file in [path, *glob.glob(path, recursive=True)]]


def flat(config) -> dict:
    """{"model.channels": 64, ...}: every key of the configuration with the value used."""
    import msgspec

    from nbcore.config import model_options

    tables = msgspec.to_builtins(config)
    for kind in ("outputs", "heads"):
        tables |= {f"{kind}.{name}": table for name, table in tables.pop(kind).items()}
    if config.heads:  # every key of it stands under the heads
        tables.pop("data")
    if config.model:
        tables["model"] |= model_options(config.model)
    found = {"seed": tables["seed"]}
    for table, keys in tables.items():
        if isinstance(keys, dict):
            found |= {f"{table}.{key}": value for key, value in keys.items()}
    return found


def make_settings(config):
    """The Settings of a training from [training], [loss] and [stage_two]."""
    import msgspec

    from nbcore.train import Loss, Settings, StageTwo

    loop = msgspec.to_builtins(config.training)
    for key in ("max_time", "checkpoint_minutes", "tensorboard", "threads"):
        loop.pop(key)
    loss, stage_two = msgspec.to_builtins(config.loss), msgspec.to_builtins(config.stage_two)
    loss["output_weights"] = {name: table.weight for name, table in config.outputs.items()}
    return Settings(seed=config.seed, loss=Loss(**loss), stage_two=StageTwo(**stage_two), **loop)


def seconds(text) -> float:
    """ "3h45m" -> 13500.0; infinity for nothing."""
    units = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+)([hms])", text)
    return float(sum(int(n) * units[unit] for n, unit in parts)) if parts else math.inf
