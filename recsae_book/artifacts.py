"""From a recipe's name to its model or SAE: loaded where it was made before, made and stored where it was not.

Looked for in the committed checkpoints, then in the cache, then trained under a lock: nothing is trained twice.
"""

import hashlib
import os
import platform
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from filelock import FileLock
from torch import nn

from recsae_book import recipes
from recsae_book.recipes import RecommenderRecipe, SAERecipe, digest, fingerprint
from recsae_core import paths, storage
from recsae_core.data import sources, split
from recsae_core.data.interactions import Interactions
from recsae_core.data.split import Hidden, Parts
from recsae_core.files import read_json, whole, write_json
from recsae_core.storage import CONFIG


@cache
def interactions(dataset: str) -> Interactions:
    """A dataset of ``book/artifacts.yml``, before its users are divided; read once a process."""
    chosen = recipes.dataset(dataset)
    return sources.load(chosen.source, **(chosen.options | chosen.files))


@cache
def parts(dataset: str) -> Parts | Hidden:
    """The split of a dataset of ``book/artifacts.yml``; made once a process."""
    return split.by_rule(interactions(dataset), **recipes.dataset(dataset).split)


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
    found = hashlib.sha256()
    for part in parts(dataset).tables:
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


def ensure_all(wanted: Iterable[Mapping[str, Any]], *, device: str = "cpu", progress: bool = True) -> list[Path]:
    """The folders of several artifacts; each of ``wanted`` is arguments of ``ensure``.

    SAEs of one of the ``passes`` are trained side by side. Each is what it would be alone, bit for bit, and is stored
    under its own fingerprint.
    """
    wanted = list(wanted)
    for group in passes(wanted):
        if os.environ.get("RECSAE_NO_TRAIN") == "1" and not untrained(recipes.recipe(**group[0])):
            remedy = f"python -m recsae_core train {group[0]['name']}"
            raise RuntimeError(f"{_label(**group[0])} is not there and RECSAE_NO_TRAIN is set: {remedy}")
        with ExitStack() as locks:
            folders = sorted(_place(**given)[2] for given in group)
            for folder in folders:  # everybody takes them in this order: no deadlock
                lock = _beside(folder, "locks", ".lock")
                lock.parent.mkdir(parents=True, exist_ok=True)
                locks.enter_context(FileLock(lock))
            # another process may have made some while this one waited
            if left := [given for given in group if not (_place(**given)[2] / CONFIG).is_file()]:
                _make(left, device, progress)
    return [find(**given) for given in wanted]


def untrained(chosen: RecommenderRecipe | SAERecipe) -> bool:
    """Is there nothing to train, in closed form or as initialised? Such an artifact is made where it is needed."""
    fit = getattr(chosen, "fit", {})
    return fit is None or fit.get("epochs") == 0


def passes(wanted: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """What is not there yet, each once: alone, or with the SAEs that read the same batches in the same training.

    One pass over the activations is enough for all of a list.
    """
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}
    for given in wanted:
        if find(**given) is None:
            values = recipes.resolved(**given)
            common = (
                [values.get(key) for key in ("parent", "site", "rows", "pairs", "seed", "train")]
                if "site" in values
                else values
            )
            groups.setdefault(digest(common), {})[digest(values)] = given
    return [list(group.values()) for group in groups.values()]


def _label(name: str, seed: int | None = None, **overrides: Any) -> str:
    return f"{name}, seed {recipes.recipe(name, seed).seed}" + (f", {overrides}" if overrides else "")


def _beside(folder: Path, kind: str, suffix: str) -> Path:
    base = paths.cache() / "artifacts"
    return paths.cache() / kind / folder.relative_to(base).with_name(folder.name + suffix)


def _make(group: Sequence[Mapping[str, Any]], device: str, progress: bool) -> None:
    from recsae_book import training

    chosen, folders = [recipes.recipe(**given) for given in group], [_place(**given)[2] for given in group]
    first, dataset, start = chosen[0], group[0]["name"].partition("/")[0], time.monotonic()
    others = "" if len(group) == 1 else "-" + digest([folder.name for folder in folders])[:12]
    state = _beside(folders[0], "training", others + ".safetensors")
    if isinstance(first, RecommenderRecipe):
        made = [training.recommender(first, parts(dataset), state, device, progress)]
    else:
        parent = get(first.parent, seed=first.seed_of_parent, device=device, progress=progress)
        made = training.saes(chosen, parent, parts(dataset), state, device, progress)
    provenance = _provenance(device, time.monotonic() - start) | {"together": len(group)}  # the seconds are of all
    for given, folder, (module, report) in zip(group, folders, made, strict=True):
        resolved = recipes.resolved(**given)
        record = {
            "recipe": resolved,
            "fingerprint": digest(resolved),
            "items": _vocabulary(dataset),
            "data": _data(dataset),
            "report": report,
            "provenance": provenance,
        }
        with whole(folder) as fresh:
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
    from recsae_book import training

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
    """Write a recipe's artifact, rounded as the recipe says, to ``data/checkpoints``; the new folder.

    Who has the checkout has the rounded weights, and the results are computed from these.
    """
    folder, (_, target, _) = ensure(name, seed=seed, **overrides), _place(name, seed, **overrides)
    rounded = recipes.recipe(name, seed, **overrides).committed
    if folder != target or read_json(target / CONFIG).get("committed") != rounded:
        tensors, config = storage.load(folder)
        storage.save(target, tensors, config | {"committed": rounded}, rounded)
    return target
