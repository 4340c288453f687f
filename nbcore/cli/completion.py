"""Tab completion: `nbcore --completion bash` prints a script for the shell, which asks `nbcore --complete WORDS...`."""

import importlib

SCRIPTS = {
    "bash": """# eval "$(nbcore --completion bash)"   in ~/.bashrc
_nbcore() {
  local IFS=$'\\n'
  COMPREPLY=($(nbcore --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _nbcore nbcore
""",
    "zsh": """# eval "$(nbcore --completion zsh)"   in ~/.zshrc
_nbcore() {
  local -a found
  found=("${(@f)$(nbcore --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=(${found:#})
  if (( ${#found} )); then compadd -S '' -- $found; else _files; fi
}
compdef _nbcore nbcore
""",
    "fish": """# nbcore --completion fish > ~/.config/fish/completions/nbcore.fish
complete -c nbcore -a '(nbcore --complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}
GENERAL = ("--help", "--version", "--completion", "--cflags", "--libs", "--cmakedir")


def candidates(words: list[str]) -> list[str]:
    """What the last of the words, typed in part, may become; nothing where a file is wanted.

    >>> candidates(["in"])
    ['init', 'inspect']
    """
    from nbcore.cli import parser_of, verbs

    *before, part = words or [""]
    verb = next((word for word in before if not word.startswith("-")), None)
    if verb is None:
        known = SCRIPTS if before[-1:] == ["--completion"] else GENERAL if part.startswith("-") else verbs()
        return [word for word in known if word.startswith(part)]
    if verb not in verbs():
        return []
    options = parser_of(importlib.import_module(f"nbcore.cli.{verb}"), verb)._option_string_actions
    last = options.get(before[-1])
    if before[-1] == "--set":
        known = _keys()
    elif last is not None and last.choices:
        known = map(str, last.choices)
    elif before[-1] == "--preset":
        from nbcore.presets import PRESETS

        known = PRESETS
    elif part.startswith("-"):
        known = [option for option in options if option.startswith("--")]
    else:
        known = []
    return [word for word in known if word.startswith(part)]


def _keys():
    """The keys of train.toml as --set takes them."""
    from nbcore.config import TABLES

    return [f"{table}.{key}=" for table, struct in TABLES.items() for key in struct.__struct_fields__]
