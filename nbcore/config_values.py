"""Values as TOML text."""

import json
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
            return "{ " + ", ".join(f"{_toml_key(k)} = {to_toml(v)}" for k, v in value.items()) + " }"
        case float():
            return repr(value)
    return str(value)


def _toml_key(key):
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
