"""Options of presets and settings: type, range, default and meaning stand once, where an option is declared.

A keyword of a preset's function, or a field of a dataclass, is an option where its type is Annotated[type, Option()].
What is given from Python is checked against it (`check`); train.toml gets its tables from it (`nbcore.config`).
"""

import functools
import inspect
import math
from numbers import Integral, Real
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from nbcore.errors import InputError


class Option(NamedTuple):
    """What an option means and which values it takes.

    text: a comment for train.toml. gt, ge, lt, le: limits of a number, or of each number of a list. choices: the words
    of a text. longest: of a list. optional: None is a value, too.
    """

    text: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: tuple = ()
    longest: int | None = None
    optional: bool = False


class Declared(NamedTuple):
    """An option with its name, type (int, float, bool, str or list) and default (inspect.Parameter.empty: none)."""

    name: str
    type: Any
    option: Option
    default: Any


@functools.cache
def declared(owner) -> tuple[Declared, ...]:
    """The options that a function or a dataclass declares, in order.

    >>> [option.name for option in declared(nbcore.presets.kondor)][:3]
    ['cutoff', 'channels', 'levels']
    """
    hints = get_type_hints(inspect.unwrap(owner), include_extras=True)
    found = []
    for name, parameter in inspect.signature(owner).parameters.items():
        hint = hints.get(name)
        option = next((a for a in get_args(hint)[1:] if isinstance(a, Option)), None)
        if get_origin(hint) is Annotated and option is not None:
            found.append(Declared(name, get_args(hint)[0], option, parameter.default))
    return tuple(found)


def check(owner, values: dict, where: str = "") -> None:
    """InputError for a value that its option does not take; `where` begins the message. Other names are passed over.

    >>> check(nbcore.presets.kondor, {"levels": 0})
    Traceback (most recent call last):
    nbcore.errors.InputError: levels must be a whole number >= 1 and <= 8, got 0
    """
    for name, type_, option, _ in declared(owner):
        if name in values and not _fits(values[name], type_, option):
            raise InputError(f"{where}{name} must be {expected(type_, option)}, got {values[name]!r}")


def _fits(value, type_, option):
    if value is None:
        return option.optional
    if get_origin(type_) is list:
        item = get_args(type_)[0]
        return (
            isinstance(value, (list, tuple))
            and (option.longest is None or len(value) <= option.longest)
            and all(_fits(v, item, option) for v in value)
        )
    if type_ is bool:
        return isinstance(value, bool)
    if type_ is str:
        return isinstance(value, str) and (not option.choices or value in option.choices)
    if isinstance(value, bool) or not isinstance(value, Integral if type_ is int else Real) or not math.isfinite(value):
        return False
    limits = (
        option.gt is None or value > option.gt,
        option.ge is None or value >= option.ge,
        option.lt is None or value < option.lt,
        option.le is None or value <= option.le,
    )
    return all(limits)


def expected(type_, option) -> str:
    """What an option takes, in words: "a whole number >= 1", "one of o3, so3".

    >>> expected(float, Option(gt=0))
    'a number > 0'
    """
    if option.choices:
        words = f"one of {', '.join(option.choices)}"
    elif type_ is str:
        words = "a text"
    elif type_ is bool:
        words = "True or False"
    else:
        item = get_args(type_)[0] if get_origin(type_) is list else type_
        signs = ((">", option.gt), (">=", option.ge), ("<", option.lt), ("<=", option.le))
        limits = " and ".join(f"{sign} {limit:g}" for sign, limit in signs if limit is not None)
        words = f"{'a whole number' if item is int else 'a number'} {limits}".strip()
        if item is not type_:
            words = f"a list{f' of at most {option.longest}' if option.longest else ''}, each {words}"
    return words + (" or None" if option.optional else "")
