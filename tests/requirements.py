"""What a test may need beyond the environment: skipped by name where it is absent, a failure where it is required.

``RECSAE_REQUIRE=data,browser`` says what this machine is supposed to have.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def data() -> Path | None:
    """The folder of MovieLens 1M under ``$RECSAE_DATA``."""
    folder = Path(os.environ.get("RECSAE_DATA", "/nowhere")) / "ml-1m"
    return folder if any(folder.rglob("ratings.dat")) or any(folder.glob("*.zip")) else None


def browser() -> str | None:
    """The path of a Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def needs(thing: str) -> None:
    """Skip the test unless ``thing`` ("data", "browser" or "peers:PACKAGE") is there; fail where it is required."""
    kind, _, package = thing.partition(":")
    if kind == "peers":
        there, missing = importlib.util.find_spec(package), f"{package} is not installed"
    elif kind in ("data", "browser"):
        there = {"data": data, "browser": browser}[kind]()
        missing = {"data": "MovieLens 1M is not under $RECSAE_DATA", "browser": "there is no Chromium"}[kind]
    else:
        raise ValueError(f"needs({thing!r}): expected data, browser or peers:PACKAGE")
    if there:
        return
    if kind in os.environ.get("RECSAE_REQUIRE", "").split(","):
        pytest.fail(f"needs {thing}, which RECSAE_REQUIRE names: {missing}")
    pytest.skip(f"needs {thing}: {missing}")


require = needs
