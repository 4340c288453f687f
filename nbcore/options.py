"""Options of presets and settings: type, range, default and meaning stand once, where an option is declared.

A keyword of a preset's function, or a field of a dataclass, is an option where its type is Annotated[type, Option()].
What is given from Python is checked against it (`check`); train.toml gets its tables from it (`nbcore.config`).
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Mapping
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from nbcore.errors import InputError


class Option(NamedTuple):
    """What an option means and which values it takes.

    text: a comment for train.toml. gt, ge, lt, le: limits of a number, or of each number of a list or a table. choices:
    the words of a text, or of each of a table. shortest, longest: of a list. optional: None is a value, too.
    """

    text: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: tuple = ()
    shortest: int | None = None
    longest: int | None = None
    optional: bool = False


class Declared(NamedTuple):
    """An option with its name, type and default (inspect.Parameter.empty: none).

    The type is int, float, bool, str, list[...] or dict[str, ...] of these, or a union of such types.
    """

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
    fields = dataclasses.fields(owner) if dataclasses.is_dataclass(owner) else ()
    made = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    found = []
    for name, parameter in inspect.signature(owner).parameters.items():
        hint = hints.get(name)
        option = next((a for a in get_args(hint)[1:] if isinstance(a, Option)), None)
        if get_origin(hint) is Annotated and option is not None:
            default = made[name]() if name in made else parameter.default
            found.append(Declared(name, get_args(hint)[0], option, default))
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
    if get_origin(type_) is UnionType:
        return any(_fits(value, one, option) for one in get_args(type_))
    if get_origin(type_) is dict:
        item = get_args(type_)[1]
        return isinstance(value, Mapping) and all(
            isinstance(k, str) and _fits(v, item, option) for k, v in value.items()
        )
    if get_origin(type_) is list:
        item = get_args(type_)[0]
        return (
            isinstance(value, (list, tuple))
            and (option.shortest or 0) <= len(value) <= (option.longest or len(value))
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
    words = " or ".join(_words(one, option) for one in (get_args(type_) if get_origin(type_) is UnionType else [type_]))
    return words + (" or None" if option.optional else "")


def _words(type_, option):
    if get_origin(type_) is dict:
        return f"a table, each {_words(get_args(type_)[1], option)}"
    if get_origin(type_) is list:
        return f"a list{length_in_words(option.shortest, option.longest)}, each {_words(get_args(type_)[0], option)}"
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    if type_ in (str, bool):
        return "a text" if type_ is str else "True or False"
    signs = ((">", option.gt), (">=", option.ge), ("<", option.lt), ("<=", option.le))
    limits = " and ".join(f"{sign} {limit:g}" for sign, limit in signs if limit is not None)
    return f"{'a whole number' if type_ is int else 'a number'} {limits}".strip()


def length_in_words(shortest: int | None, longest: int | None) -> str:
    """How long a list may be: " of at most 6", " of 2", nothing where it may have any length.

    >>> length_in_words(2, 2)
    ' of 2'
    """
    if longest is None:
        return ""
    return f" of {longest}" if shortest == longest else f" of at most {longest}"
