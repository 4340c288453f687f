"""How each preset is trained: keys of train.toml that are not those of the row."""

SEEN = {"model.cutoff": 5.0}
SLOW = SEEN | {"training.lr": 0.01}  # networks of scalars: 30 and 55 meV/Å after 60 epochs, with 0.04 33 and 60

#: chosen on validation data; a preset that looks at its neighbours once sees as far as it can
RECIPES = {
    "nbody": SEEN,
    "mace": SEEN,
    "nequip": SEEN,
    "tfn": SEEN,
    "allegro": SEEN,
    "cormorant": SEEN,
    "kondor": SEEN,
    "ace": SEEN,
    "schnet": SLOW,
    "dtnn": SLOW,
    "hipnn": SLOW,
    "hipnn_ts": SLOW,
    "hiphop": SLOW,
    "ani": {"model.cutoff": 5.2},
    "behler_parrinello": {"model.cutoff": 6.0},
}


def settings_of(preset) -> list[str]:
    """The words behind --set."""
    return [f"model.preset={preset}", *(f"{key}={value}" for key, value in RECIPES.get(preset, {}).items())]
