"""Values as TOML text."""

import json
import os
import re


def to_toml(value) -> str:
    """A value as it stands in a TOML file: "text", 5.0, true, [1, 2], { H = -13.6 }."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)  # TOML basic strings escape as JSON does
        case list() | tuple():
            return "[" + ", ".join(map(to_toml, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{to_toml_key(k)} = {to_toml(v)}" for k, v in value.items()) + " }"
        case float():
            return repr(value)
    return str(value)


def to_toml_key(key: str) -> str:
    """A key as it stands in a TOML file, in quotes where it has to."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def path_from(path: str, folder: str) -> str:
    """A path as it is written in a file in `folder`: relative where both stand close together, else absolute.

    >>> path_from("/home/me/data/train.xyz", "/home/me/run")
    '../data/train.xyz'
    >>> path_from("/data/train.xyz", "/home/me/run")
    '/data/train.xyz'
    """
    relative = os.path.relpath(path, folder)
    far = relative.startswith(os.path.join(os.pardir, os.pardir))
    return os.path.abspath(path) if far else relative
