"""How each preset is trained: keys of train.toml that are not those of the row."""

#: chosen on validation data; a preset that looks at its neighbours once sees as far as it can
RECIPES = {
    "nbody": {"model.cutoff": 5.0},
    "mace": {"model.cutoff": 5.0},
    "nequip": {"model.cutoff": 5.0},
    "cormorant": {"model.cutoff": 5.0},
    "kondor": {"model.cutoff": 5.0},
    "hipnn": {"model.cutoff": 5.0},
    "hipnn_ts": {"model.cutoff": 5.0},
    "hiphop": {"model.cutoff": 5.0},
    "dtnn": {"model.cutoff": 5.0},
    "tfn": {"model.cutoff": 5.0},
    "schnet": {"model.cutoff": 5.0},
    "ani": {"model.cutoff": 5.2},
    "behler_parrinello": {"model.cutoff": 6.0},
}


def settings_of(preset) -> list[str]:
    """The words behind --set."""
    return [f"model.preset={preset}", *(f"{key}={value}" for key, value in RECIPES.get(preset, {}).items())]
