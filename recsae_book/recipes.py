"""Named recipes: what every model and SAE of the book is made from, and the fingerprint of that."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field

from recsae_core import paths
from recsae_core.strict import STRICT, parse


def digest(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Dataset(BaseModel):
    """A source of ``recsae_core.data``, and how its users are divided."""

    model_config = STRICT

    source: str
    options: dict[str, Any] = {}
    files: dict[str, str] = {}  # options that name the reader's own files: no part of a fingerprint
    split: dict[str, Any] = {}  # arguments of split.by_rule


class RecommenderRecipe(BaseModel):
    """A recommender trained on ``train``, stopped early by ``sae``; what ``config`` and ``fit`` omit is default."""

    model_config = STRICT

    kind: Literal["recommender"]
    model: str
    config: dict[str, Any] = {}
    fit: dict[str, Any] | None = None  # None: in closed form
    seed: int = 0
    version: int = 1  # raised by hand when the method changes
    half: bool = False  # the weights are rounded to half precision at the end, so that the stored file is half as large
    committed: Literal["half", "int8"] | None = None  # how the weights are rounded where they are committed


class SAERecipe(BaseModel):
    """An SAE trained on what ``parent`` has at ``site``; values given here replace those of the preset."""

    model_config = STRICT

    kind: Literal["sae"]
    parent: str
    parent_seed: int | None = None  # None: the same as the SAE's
    site: str
    rows: Literal["train", "sae", "test"] = "sae"  # the part of the split whose inputs are read
    pairs: Literal["all", "random", "positive"] | None = None  # at "user+item": whose scores the SAE is to keep
    preset: str
    sae: dict[str, Any] = {}
    terms: dict[str, float] = {}
    train: dict[str, Any] = {}
    seed: int = 0
    version: int = 1
    half: bool = False
    committed: Literal["half", "int8"] | None = None

    @property
    def seed_of_parent(self) -> int:
        """The seed of the recommender that the SAE reads."""
        return self.seed if self.parent_seed is None else self.parent_seed

    def merged(self) -> dict[str, dict[str, Any]]:
        """The preset's values with the recipe's own in their place, under "sae", "terms" and "train"."""
        from recsae_core.sae import presets

        return {name: given | getattr(self, name) for name, given in presets.values(self.preset).items()}


Recipe = Annotated[RecommenderRecipe | SAERecipe, Field(discriminator="kind")]


class Book(BaseModel):
    """The file ``book/artifacts.yml``. A recipe's name is ``dataset/what``."""

    model_config = STRICT

    datasets: dict[str, Dataset]
    recipes: dict[str, Recipe]


def book() -> Book:
    """The recipes of this checkout; ``ValueError`` names the recipe and the key that is wrong."""
    path = paths.root() / "book" / "artifacts.yml"
    return _book(path.read_text(encoding="utf-8"), path.name)


@lru_cache(maxsize=4)
def _book(text: str, file: str) -> Book:
    found = parse(Book, yaml.safe_load(text), file)
    for name, recipe in found.recipes.items():
        if name.partition("/")[0] not in found.datasets:
            raise ValueError(f"{file}: {name}: expected a name that starts with {', '.join(found.datasets)}")
        if isinstance(recipe, SAERecipe) and recipe.parent not in found.recipes:
            raise ValueError(f"{file}: {name}: parent {recipe.parent!r}: no such recipe")
    return found


def dataset(name: str) -> Dataset:
    """The dataset called ``name``; ``ValueError`` lists the datasets there are."""
    known = book().datasets
    if name not in known:
        raise ValueError(f"dataset {name!r}: expected one of {', '.join(known)} (book/artifacts.yml)")
    return known[name]


def recipe(name: str, seed: int | None = None, **overrides: Any) -> RecommenderRecipe | SAERecipe:
    """The recipe called ``name`` with another seed and other values; a value that is a mapping is merged.

    Raises ``ValueError`` for a name or a key that does not exist.
    """
    known = book().recipes
    if name not in known:
        raise ValueError(f"recipe {name!r}: expected one of {', '.join(known)} (book/artifacts.yml)")
    values = known[name].model_dump()
    for key, value in (overrides | ({} if seed is None else {"seed": seed})).items():
        old = values.get(key)
        values[key] = old | dict(value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return parse(type(known[name]), values, name)


def resolved(name: str, seed: int | None = None, **overrides: Any) -> dict[str, Any]:
    """The recipe with its dataset, or its parent's fingerprint and its preset's values, in place of their names."""
    chosen = recipe(name, seed, **overrides)
    # what a recipe can say since later is no part of the fingerprints of those that do not say it
    later = {key for key in ("half", "pairs") if not getattr(chosen, key, None)}
    values = chosen.model_dump(exclude=later | {"committed"})
    if isinstance(chosen, RecommenderRecipe):
        from recsae_core.data import sources

        source = dataset(name.partition("/")[0]).model_dump(exclude={"files"})
        return values | {"dataset": source | {"options": sources.settings(source["source"], **source["options"])}}
    values |= chosen.merged() | {"parent": fingerprint(chosen.parent, chosen.seed_of_parent)}
    return {key: value for key, value in values.items() if key not in ("preset", "parent_seed")}


def fingerprint(name: str, seed: int | None = None, **overrides: Any) -> str:
    """The sha256 of the resolved recipe: no bytes of data, no source text, no device, threads or paths."""
    return digest(resolved(name, seed, **overrides))
