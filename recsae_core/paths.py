"""Where the project's files live, so that no notebook depends on the directory that it is started from."""

import os
from pathlib import Path


def root() -> Path:
    """The folder that holds ``book/``, ``notebooks/`` and ``data/``: ``$RECSAE_ROOT``, else the checkout."""
    return Path(os.environ.get("RECSAE_ROOT", Path(__file__).resolve().parents[1]))


def cache() -> Path:
    """The folder for downloads and for what was trained on this machine: ``$RECSAE_CACHE``, else ``runs/``."""
    return Path(os.environ.get("RECSAE_CACHE", root() / "runs"))


def checkpoints() -> Path:
    """The folder of the committed checkpoints."""
    return root() / "data" / "checkpoints"
