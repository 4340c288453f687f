"""From the options of settings and presets to the tables of train.toml: same types, ranges, defaults and comments."""

import functools
import inspect
import operator
from types import UnionType
from typing import Annotated, Literal, get_args, get_origin

import msgspec

from nbcore.options import declared


class Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of train.toml."""


def key(type_, comment="", **limits):
    """A key's type with its range, and the comment that `write_config` puts beside it."""
    ranged = Annotated[type_, msgspec.Meta(**limits)] if limits else type_
    return Annotated[ranged, msgspec.Meta(description=comment)]


def table_of(name, owner, first=(), last=(), leave_out=(), filled=()):
    """A table with the options of a dataclass or a preset's function as keys.

    first, last: further keys (name, type, default). leave_out: options that are no keys. filled: options that something
    else fills in where they are left out; their default is None.
    """
    fields = list(first)
    for option in declared(owner):
        if option.name in leave_out:
            continue
        type_, default = _type(option.type, option.option), option.default
        if option.name in filled:
            type_, default = type_ | None, None
        given = () if default is inspect.Parameter.empty else (_default(default),)
        fields.append((option.name, key(type_, option.option.text), *given))
    doc = {"__doc__": (owner.__doc__ or "").partition("\n")[0]}
    return msgspec.defstruct(name, [*fields, *last], bases=(Table,), namespace=doc, kw_only=True)


def _default(value):
    """A list or a table for each struct of its own."""
    if isinstance(value, (list, tuple)):
        return msgspec.field(default_factory=lambda: list(value))
    if isinstance(value, dict):
        return msgspec.field(default_factory=lambda: dict(value))
    return value


def _type(type_, option):
    """The type as msgspec checks it."""
    if get_origin(type_) is UnionType:
        found = functools.reduce(operator.or_, (_alone(one, option) for one in get_args(type_)))
    else:
        found = _alone(type_, option)
    return found | None if option.optional else found


def _alone(type_, option):
    """One of the types of a union."""
    limits = {name: getattr(option, name) for name in ("gt", "ge", "lt", "le") if getattr(option, name) is not None}
    if get_origin(type_) is dict:
        return dict[str, _alone(get_args(type_)[1], option)]
    if get_origin(type_) is list:
        type_, length = list[_alone(get_args(type_)[0], option)], {}
        if option.shortest is not None:
            length["min_length"] = option.shortest
        if option.longest is not None:
            length["max_length"] = option.longest
        return Annotated[type_, msgspec.Meta(**length)] if length else type_
    if option.choices:
        return Literal[option.choices]
    return Annotated[type_, msgspec.Meta(**limits)] if limits else type_
