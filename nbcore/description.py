"""The description of a potential as Python sees it: a dict that can be read, copied and printed, but not changed."""

import copy
import json

from nbcore.errors import InputError

ADVICE = (
    "the description of a potential is read-only: assign potential.E0s, scale, offsets or spreads, "
    "set gains by potential.set_gain and notes by potential.annotate(about=...); "
    "copy.deepcopy(description) is a dict of your own"
)


def _refuse(self, *args, **kwargs):
    raise TypeError(ADVICE)


class FrozenDict(dict):
    """A dict that refuses to be changed; a copy of it is an ordinary one."""

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self):
        return dict(self)

    copy = __copy__

    def __deepcopy__(self, memo):
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self):
        return dict, (copy.deepcopy(self),)


class FrozenList(list):
    """A list that refuses to be changed; a copy of it is an ordinary one."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __copy__(self):
        return list(self)

    copy = __copy__

    def __deepcopy__(self, memo):
        return [copy.deepcopy(value, memo) for value in self]

    def __reduce__(self):
        return list, (copy.deepcopy(self),)


def frozen(value):
    """What came from JSON, with all dicts and lists in it frozen.

    >>> frozen({"gates": [1, 2]})["gates"] == [1, 2]
    True
    """
    if isinstance(value, dict):
        return FrozenDict((key, frozen(inner)) for key, inner in value.items())
    return FrozenList(map(frozen, value)) if isinstance(value, list) else value


def to_json(name: str, value: dict) -> str:
    """A dict as JSON; InputError says which entry JSON cannot hold: NaN, objects of other kinds, keys that are no text.

    >>> to_json("notes", {"a": [1, 2.5]})
    '{"a": [1, 2.5]}'
    """
    if not isinstance(value, dict):
        raise InputError(f"{name} must be a dict, got {type(value).__name__}")
    _check(name, value)
    return json.dumps(value, allow_nan=False)


def _check(where, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InputError(f"{where}: the keys must be texts, got {key!r}")
            _check(f"{where}: {key}", inner)
    elif isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            _check(f"{where}[{k}]", inner)
    else:
        try:
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError):
            what = f"{type(value).__name__} {value!r}"
            raise InputError(f"{where} must be a text, a finite number, true, false or None, got {what}") from None
