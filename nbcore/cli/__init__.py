"""The command `nbcore`: finds the verb, and turns every error into one block and an exit code.

Exit codes: 0 good, 2 usage, 3 data, 4 model or checkpoint, 5 numerics, 6 files, 130 and 143 after a signal.
A verb is a module nbcore/cli/VERB.py with `add_parser(subparsers)` and `run(args) -> exit code`; it imports what it
needs inside `run`, so that help is fast and a missing extra is a message.
"""

import argparse
import difflib
import importlib
import importlib.util
import os
import shlex
import sys

from nbcore import _extras, errors
from nbcore._threads import threads
from nbcore.cli import console
from nbcore.cli.remedies import own_options

VERBS = {
    "init": "read data, write a commented train.toml that fits it",
    "data": "what is in these files; gather, convert, split them",
    "train": "train a potential, or continue what was interrupted",
    "scan": "many trainings from lists in one file, and their table",
    "import": "models of other programs (MACE, SevenNet) as nbcore models",
    "evaluate": "errors of a model on data, as tables",
    "uncertainty": "let a model know how large its errors are",
    "md": "molecular dynamics with a model",
    "relax": "relax atoms, optionally the cell",
    "lammps": "input lines for LAMMPS, and a structure as its data file",
    "inspect": "what a model is, where it comes from, what it costs",
    "verify": "physics checks of a model, pass or fail",
    "plot": "the plots of a run again",
    "bench": "speed of this machine and build",
}
EXAMPLES = {
    "init": "nbcore init my_data/*.xyz runs/*/OUTCAR",
    "train": "nbcore train train.toml",
    "evaluate": "nbcore evaluate acac/acac.nbcore test_*.xyz",
}
COMPILE = ("--cflags", "--libs", "--cmakedir")  # for programs in C, C++, Fortran and Cython
EXIT_CODES = [
    (errors.ModelFileError, 4),
    (errors.CheckpointError, 4),
    (errors.NumericsError, 5),
    (errors.InputError, 3),
    (errors.Error, 1),
    (OSError, 6),
]


class UsageError(errors.Error):
    """A command line that does not fit."""

    exit_code = 2


class Parser(argparse.ArgumentParser):
    """argparse, with errors in the form of every other error."""

    def error(self, message):
        raise UsageError(f"{message[0].lower()}{message[1:]}\nSee  {self.prog} --help")


def verbs():
    """The verbs this installation has, in the order of the help text."""
    return [verb for verb in VERBS if importlib.util.find_spec(f"nbcore.cli.{verb}")]


def help_text() -> str:
    """The one screen of `nbcore --help`."""
    here = verbs()
    lines = ["usage: nbcore VERB ...        nbcore VERB --help says more"]
    lines += ["Interatomic potentials from energies, forces and stresses.", ""]
    lines += [f"  {verb:<12}{VERBS[verb]}" for verb in here]
    lines += ["", "  --version   --quiet (errors only)   --completion bash, zsh or fish (tab)"]
    lines += ["  --cflags   --libs   --cmakedir   for programs in C, C++, Fortran and Cython"]
    lines += ["exit codes: 0 good, 2 usage, 3 data, 4 model, 5 numerics, 6 files", ""]
    return "\n".join(lines + [f"  {line}" for verb, line in EXAMPLES.items() if verb in here])


def version() -> str:
    """Release of the installed package."""
    from importlib import metadata

    try:
        return metadata.version("nbcore")
    except metadata.PackageNotFoundError:  # the source tree, built in place
        import nbcore

        return getattr(nbcore, "__version__", "(source tree)")


def _complete(argv):
    """Answers a shell that completes a command, or prints the script by which it asks."""
    from nbcore.cli import completion

    if argv[0] == "--complete":
        print("\n".join(completion.candidates(argv[1:])))
        return
    shell = argv[argv.index("--completion") + 1 :][:1]
    if not shell or shell[0] not in completion.SCRIPTS:
        raise UsageError(f"--completion: expected one of {', '.join(completion.SCRIPTS)}.")
    print(completion.SCRIPTS[shell[0]], end="")


def compile_line(options) -> str | None:
    """What `nbcore --cflags --libs` prints, in the order cflags, libs, cmakedir; None if nothing of it is asked for."""
    from nbcore import paths

    said = {"--cflags": paths.cflags, "--libs": paths.libs, "--cmakedir": lambda: [paths.get_cmake_dir()]}
    asked = [word for option, words in said.items() if option in options for word in words()]
    return shlex.join(asked) if asked else None


def parse(argv):
    """Arguments -> (verb, namespace); (None, None) where the answer was already printed."""
    first = next((a for a in argv if not a.startswith("-")), None)
    options = argv[: argv.index(first)] if first else argv
    if "--version" in options:
        print(f"nbcore {version()}")
        return None, None
    if argv[:1] == ["--complete"] or "--completion" in options:
        _complete(argv)
        return None, None
    if {"--help", "-h"} & set(options) or not argv:
        print(help_text())
        return None, None
    if first is None:
        if unknown := [option for option in argv if option not in COMPILE]:
            raise UsageError(f"{unknown[0]}: no such option.\nSee  nbcore --help")
        print(compile_line(argv))
        return None, None
    if first not in verbs():
        near = difflib.get_close_matches(first, verbs(), 1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(verbs())}."
        raise UsageError(f"{first}: no such verb.{hint}")
    module = importlib.import_module(f"nbcore.cli.{first}")
    arguments = command_line(module).parse_args(argv)
    if getattr(arguments, "threads", 1) is None:  # then the environment says how many
        try:
            threads()
        except errors.InputError as e:
            raise UsageError(str(e)) from None
    return module, arguments


def command_line(module) -> Parser:
    """The parser of a verb's module, with the options that all verbs have."""
    parser = Parser(prog="nbcore", add_help=False)
    subparsers = parser.add_subparsers(dest="verb", parser_class=Parser)
    module.add_parser(subparsers)
    for p in (parser, *subparsers.choices.values()):
        default = False if p is parser else argparse.SUPPRESS
        for name, text in (("--quiet", "print errors only"), ("--traceback", "show where an error arose")):
            if name not in p._option_string_actions:
                p.add_argument(name, action="store_true", default=default, help=text)
    return parser


def parser_of(module, verb) -> Parser:
    """The parser of the verb itself, with its options."""
    return command_line(module)._subparsers._group_actions[0].choices[verb]


def missing_extras(verb, error):
    """The message for a package that a plain install leaves out, or None if `error` is about something else."""
    if (error.name or "").partition(".")[0] not in _extras.PACKAGES:
        return None
    return _extras.needs(f"`nbcore {verb}`", _extras.missing() or [error.name])


def os_error_text(error: OSError) -> str:
    """ "FILE: No such file or directory" from the parts the system gives; the plain text otherwise."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"


def speaks() -> bool:
    """True for the process that says what all ranks of an MPI launcher have to say."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is None or mpi.COMM_WORLD.Get_rank() == 0


def main(argv=None) -> int:
    """Runs one command and returns its exit code; never raises for what a user can do wrong.

    >>> main(["data", "absent.xyz"])
    6
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    traceback = "--traceback" in argv
    verb, args = next((a for a in argv if not a.startswith("-")), ""), None
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Å shows a question mark
    try:
        module, args = parse(argv)
        code = 0 if module is None else module.run(args) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `nbcore data ... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        console.error("interrupted.")
        return 130
    except SystemExit as e:  # argparse after --help
        return e.code if isinstance(e.code, int) else 0
    except ImportError as e:
        text = missing_extras(verb, e)
        if text is None or traceback:
            raise
        console.error(text)
        return 2
    except (errors.Error, OSError, MemoryError) as e:
        if traceback:
            raise
        text = os_error_text(e) if isinstance(e, OSError) else str(e) or type(e).__name__
        if not getattr(e, "of_all_ranks", False) or speaks():
            console.error(own_options(text, args))
        return getattr(e, "exit_code", None) or next((code for kind, code in EXIT_CODES if isinstance(e, kind)), 1)
