"""Remedies in the words of the command that was typed: its own option where the reader names a key of train.toml."""

import re
import shlex

_KEY = r'(\w+) = "([^"]*)"'


def own_options(text: str, args) -> str:
    """The text with `Write  forces_key = "none"  under [data]` as `Add  --forces-key none`, if `args` have that option.

    >>> from argparse import Namespace
    >>> own_options('Write  forces_key = "none"  under [data] to go on.', Namespace(forces_key=None))
    'Add  --forces-key none  to go on.'
    """

    def option(key, value, table):
        if table.startswith("outputs."):
            return f"--output-key {table.removeprefix('outputs.')}={shlex.quote(value)}"
        return f"--{key.replace('_', '-')} {shlex.quote(value)}"

    def replaced(match):
        verb, keys, table = match["verb"], match["keys"], match["table"] or "data"
        names = [key for key, _ in re.findall(_KEY, keys)]
        known = hasattr(args, "output_key") if table != "data" else all(hasattr(args, name) for name in names)
        if not known:
            return match[0]
        keys = re.sub(_KEY, lambda m: option(m[1], m[2], table), keys)
        return f"{'Add' if verb == 'Write' else 'add'}  {keys}{'  ' if match['more'] else ''}"

    keys = rf"(?P<keys>{_KEY}(?:  or  {_KEY})*)"
    pattern = rf"(?P<verb>[Ww]rite)  {keys}(?:  under \[(?P<table>data|outputs\.\w+)\](?P<more> ?))?"
    return re.sub(pattern, replaced, text)
