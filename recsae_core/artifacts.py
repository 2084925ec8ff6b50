"""From a recipe's name to its model or SAE: loaded where it was made before, made and stored where it was not.

Looked for in the committed checkpoints, then in the cache, then trained under a lock: nothing is trained twice.
"""

import hashlib
import os
import platform
import shutil
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml
from filelock import FileLock
from torch import nn

from recsae_core import paths, recipes
from recsae_core.data import sources, split
from recsae_core.data.interactions import Interactions
from recsae_core.data.split import Parts
from recsae_core.files import read_json, whole, write_json
from recsae_core.recipes import RecommenderRecipe, SAERecipe, digest, fingerprint
from recsae_core.storage import CONFIG

__all__ = [
    "at_hand",
    "commit",
    "ensure",
    "ensure_all",
    "find",
    "fingerprint",
    "get",
    "interactions",
    "parts",
    "record",
    "reference",
]


@cache
def interactions(dataset: str) -> Interactions:
    """A dataset of ``book/artifacts.yml``, before its users are divided; read once a process."""
    chosen = recipes.dataset(dataset)
    return sources.load(chosen.source, **(chosen.options | chosen.files))


@cache
def parts(dataset: str) -> Parts:
    """The split of a dataset of ``book/artifacts.yml``; made once a process."""
    return split.seqrec(interactions(dataset), **recipes.dataset(dataset).split)


def at_hand(dataset: str) -> bool:
    """Can the dataset be read without a download?"""
    chosen = recipes.dataset(dataset)
    source = sources.registry()[chosen.source]
    if not source.files:
        return all(Path(file).is_file() for file in chosen.files.values())
    archive, named = PurePosixPath(source.url or "-").name, os.environ.get("RECSAE_DATA")
    places = [Path(named, folder) for folder in (*source.folders, "")] if named else []
    unpacked = any(all((place / file).is_file() for file in source.files) for place in places)
    return unpacked or any((place / archive).is_file() for place in [*places, paths.cache() / "data"])


@cache
def _vocabulary(dataset: str) -> str:
    return digest([str(item) for item in parts(dataset).train.items["id"]])


@cache
def _data(dataset: str) -> str:
    whole, found = parts(dataset), hashlib.sha256()
    for part in (whole.train, whole.sae, whole.test):
        for column in (part.user, part.item):
            found.update(column.astype("<i8").tobytes())
    return found.hexdigest()


def _place(name: str, seed: int | None = None, **overrides: Any) -> tuple[str, Path, Path]:
    """The fingerprint, the folder of a committed checkpoint, and the folder in the cache."""
    wanted, chosen = fingerprint(name, seed, **overrides), recipes.recipe(name, seed, **overrides)
    plain, full = f"{name}-s{chosen.seed}", f"{name}-s{chosen.seed}-{wanted[:12]}"
    as_named = not overrides or fingerprint(name, chosen.seed) == wanted
    return wanted, paths.checkpoints() / (plain if as_named else full), paths.cache() / "artifacts" / full


def find(name: str, seed: int | None = None, **overrides: Any) -> Path | None:
    """The folder of the recipe's artifact, None where it was not made yet.

    Warns where the committed checkpoint of that name and seed was made from another recipe.
    """
    wanted, committed, cached = _place(name, seed, **overrides)
    if (committed / CONFIG).is_file():
        has = read_json(committed / CONFIG).get("fingerprint", "none")
        if has == wanted:
            return committed
        message = f"{name}: the committed checkpoint has fingerprint {has[:12]}, the recipe {wanted[:12]}: not used"
        warnings.warn(message, stacklevel=2)
    return cached if (cached / CONFIG).is_file() else None


def ensure(name: str, *, seed: int | None = None, device: str = "cpu", progress: bool = True, **overrides: Any) -> Path:
    """The folder of the recipe's artifact, trained on ``device`` where it was not made yet.

    Raises ``RuntimeError`` instead of training where ``$RECSAE_NO_TRAIN`` is 1; what is made in closed form is made.
    """
    return ensure_all([{"name": name, "seed": seed} | overrides], device=device, progress=progress)[0]


def ensure_all(wanted: Sequence[Mapping[str, Any]], *, device: str = "cpu", progress: bool = True) -> list[Path]:
    """The folders of several artifacts, in the order of ``wanted``, whose entries are arguments of ``ensure``.

    Missing SAEs with the same parent, site, rows, seed and training are trained in one pass over the activations. Each
    is what it would be alone, bit for bit, and is stored under its own fingerprint.
    """
    missing: dict[str, Wanted] = {}
    folders = [find(**given) for given in wanted]
    for number, given in enumerate(wanted):
        if folders[number] is None:
            chosen, (fingerprint, _, folder) = recipes.recipe(**given), _place(**given)
            folders[number] = folder
            missing[fingerprint] = Wanted(given["name"], chosen, recipes.resolved(**given), folder)
            if os.environ.get("RECSAE_NO_TRAIN") == "1" and getattr(chosen, "fit", {}) not in (None, {"epochs": 0}):
                rest = {key: value for key, value in given.items() if key not in ("name", "seed")}
                what = f"{given['name']}, seed {chosen.seed}" + (f", {rest}" if rest else "")
                remedy = f"python -m recsae_core train {given['name']}"
                raise RuntimeError(f"{what} is not there and RECSAE_NO_TRAIN is set: {remedy}")
    groups: dict[str, list[Wanted]] = {}
    for fingerprint, one in missing.items():
        groups.setdefault(_company(one) or fingerprint, []).append(one)
    for group in groups.values():
        with ExitStack() as locks:
            for one in sorted(group, key=lambda one: one.folder):  # all take them in one order: no deadlock
                lock = _beside(one.folder, "locks", ".lock")
                lock.parent.mkdir(parents=True, exist_ok=True)
                locks.enter_context(FileLock(lock))
            # another process may have made some while this one waited
            if left := [one for one in group if not (one.folder / CONFIG).is_file()]:
                _make(left, device, progress)
    return folders


class Wanted(NamedTuple):
    """An artifact that is not there yet."""

    name: str
    recipe: RecommenderRecipe | SAERecipe
    resolved: dict[str, Any]
    folder: Path


def _company(one: Wanted) -> str | None:
    """What SAEs that are trained together have in common; None for a recommender."""
    if isinstance(one.recipe, RecommenderRecipe):
        return None
    common = ("parent", "site", "rows", "seed", "train")
    return digest({"dataset": one.name.partition("/")[0]} | {key: one.resolved[key] for key in common})


def _beside(folder: Path, kind: str, suffix: str) -> Path:
    base = paths.cache() / "artifacts"
    return paths.cache() / kind / folder.relative_to(base).with_name(folder.name + suffix)


def _make(group: Sequence[Wanted], device: str, progress: bool) -> None:
    from recsae_core import training

    first, dataset = group[0], group[0].name.partition("/")[0]
    same = "" if len(group) == 1 else "-and-" + digest([digest(one.resolved) for one in group])[:12]
    state = _beside(first.folder, "training", same + ".safetensors")
    start = time.monotonic()
    if isinstance(first.recipe, RecommenderRecipe):
        made = [training.recommender(first.recipe, parts(dataset), state, device, progress)]
    else:
        parent = get(first.recipe.parent, seed=first.recipe.seed_of_parent, device=device, progress=progress)
        made = training.saes([one.recipe for one in group], parent, parts(dataset), state, device, progress)
    for one, (module, report) in zip(group, made, strict=True):
        record = {
            "recipe": one.resolved,
            "fingerprint": digest(one.resolved),
            "items": _vocabulary(dataset),
            "data": _data(dataset),
            "report": report,
            "provenance": _provenance(device, time.monotonic() - start) | {"together": len(group)},
        }
        with whole(one.folder) as fresh:
            training.save(module, fresh)
            write_json(fresh / CONFIG, read_json(fresh / CONFIG) | record)
    state.unlink(missing_ok=True)


def _provenance(device: str, seconds: float) -> dict[str, Any]:
    import torch

    return {
        "device": device.partition(":")[0],
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def get(
    name: str, *, seed: int | None = None, device: str = "cpu", progress: bool = True, **overrides: Any
) -> nn.Module:
    """The recommender or the SAE of a recipe of ``book/artifacts.yml``, in evaluation mode on ``device``.

    Values of the recipe can be replaced, ``get("ml-1m/sae-512", sae={"m": 1024})``; what results is trained into the
    cache. Raises ``ValueError`` where the artifact was trained on other items than the data at hand has, and warns
    where only the interactions differ.
    """
    from recsae_core import training

    folder = ensure(name, seed=seed, device=device, progress=progress, **overrides)
    stored, dataset = read_json(folder / CONFIG), name.partition("/")[0]
    if stored["items"] != _vocabulary(dataset):
        there = f"{dataset} as it is here ({parts(dataset).train.n_items} items)"
        raise ValueError(f"{folder}: trained on another item vocabulary than {there}: delete it to train anew")
    if stored["data"] != _data(dataset):
        message = f"{name}: trained on a {dataset} whose interactions differ from those at hand; numbers may differ"
        warnings.warn(message, stacklevel=2)
    return training.load(folder, recipes.recipe(name, seed, **overrides).kind, device)


def reference(paper: str, dataset: str) -> dict[str, Any]:
    """What the authors of a paper measured on a dataset, with its ``source``; empty where nothing is known."""
    path = paths.root() / "data" / "references" / f"{paper}.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8")).get(dataset, {})


def record(name: str, *, seed: int | None = None, **overrides: Any) -> dict[str, Any]:
    """What is stored beside an artifact: recipe, fingerprint, provenance, and the report of its training."""
    return read_json(ensure(name, seed=seed, **overrides) / CONFIG)


def commit(name: str, *, seed: int | None = None, **overrides: Any) -> Path:
    """Copy a recipe's artifact into ``data/checkpoints``, where it replaces an older one; the new folder."""
    folder, (_, target, _) = ensure(name, seed=seed, **overrides), _place(name, seed, **overrides)
    if folder != target:
        with whole(target) as fresh:
            shutil.copytree(folder, fresh, dirs_exist_ok=True)
    return target
