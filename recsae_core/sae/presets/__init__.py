"""Settings of SAEs as files: what a paper used, with the source of every value."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from recsae_core.sae.autoencoder import SAEConfig
from recsae_core.sae.fit import TrainConfig
from recsae_core.sae.terms import TERMS
from recsae_core.strict import parse

FOLDER = Path(__file__).parent
SECTIONS = ("sae", "terms", "train")


class Preset(NamedTuple):
    """``SAEConfig(d=..., **preset.sae)``, the weights of the terms, and how to train."""

    about: str
    sae: dict[str, Any]  # all of SAEConfig but d, which the rows decide
    terms: dict[str, float]
    train: TrainConfig
    source: dict[str, str]  # "sae.m" -> where the value is from


def names() -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def load(name: str) -> Preset:
    """The preset called ``name``; ``ValueError`` lists the presets, or names the key of the file that is wrong."""
    stored = _read(name)
    plain = values(name)
    parse(SAEConfig, plain["sae"] | {"d": 2}, f"{name}.yml, sae")
    if unknown := plain["terms"].keys() - TERMS.keys():
        raise ValueError(f"{name}.yml, terms: {', '.join(unknown)}: expected some of {', '.join(TERMS)}")
    source = {f"{section}.{key}": entry["source"] for section in SECTIONS for key, entry in stored[section].items()}
    train = parse(TrainConfig, plain["train"], f"{name}.yml, train")
    return Preset(stored["about"], plain["sae"], plain["terms"], train, source)


def values(name: str) -> dict[str, dict[str, Any]]:
    """The values of the preset alone, under "sae", "terms" and "train"."""
    stored = _read(name)
    return {section: {key: entry["value"] for key, entry in stored[section].items()} for section in SECTIONS}


@lru_cache(maxsize=32)
def _yaml(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def _read(name: str) -> dict[str, Any]:
    if name not in names():
        raise ValueError(f"preset {name!r}: expected one of {', '.join(names())}")
    stored = _yaml((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    if set(stored) != {"about", *SECTIONS}:
        raise ValueError(f"{name}.yml: has {', '.join(stored)}: expected about, {', '.join(SECTIONS)}")
    for section in SECTIONS:
        for key, entry in stored[section].items():
            if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
                raise ValueError(f"{name}.yml: {section}.{key}: expected a value and its source")
    return stored
