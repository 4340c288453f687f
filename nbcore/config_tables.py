"""From the options of settings and presets to the tables of train.toml: same types, ranges, defaults and comments."""

import copy
import inspect
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
    """A list for each struct of its own."""
    if isinstance(value, (list, tuple)):
        return msgspec.field(default_factory=lambda: copy.copy(list(value)))
    return value


def _type(type_, option):
    """The type as msgspec checks it."""
    limits = {name: getattr(option, name) for name in ("gt", "ge", "lt", "le") if getattr(option, name) is not None}
    if option.choices:
        type_ = Literal[option.choices]
    elif get_origin(type_) is list:
        item = get_args(type_)[0]
        type_ = list[Annotated[item, msgspec.Meta(**limits)] if limits else item]
        type_ = Annotated[type_, msgspec.Meta(max_length=option.longest)] if option.longest else type_
    elif limits:
        type_ = Annotated[type_, msgspec.Meta(**limits)]
    return type_ | None if option.optional else type_
