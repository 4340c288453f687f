"""Where an imported potential comes from, as its model file says it."""

from pathlib import Path

from nbcore.files import sha256
from nbcore.printable import printable

LICENCE = "not stated in the file; it is that of the model, ask where you have it from"


def note_origin(potential, path) -> None:
    """Notes the file that a potential was read from, its digest, and that its licence is not known."""
    from nbcore import __version__

    about = dict(potential.description.get("about") or {})
    name = printable(Path(path).name)
    values = about.pop("for", "")
    about |= {
        "description": f"imported from {name} ({about.pop('class', 'another program')})"
        + f", for {values}" * bool(values),
        "origin": f"{name}, sha256 {sha256(path)}",
        "licence": about.get("licence", LICENCE),
    }
    potential.annotate(about=about, versions={"nbcore": __version__})
