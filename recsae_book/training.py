"""What a recipe says, done: the one place that knows how recommenders and SAEs are trained, saved and loaded."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from recsae_book.recipes import RecommenderRecipe, SAERecipe
from recsae_core import recommenders
from recsae_core.data.split import Hidden, Parts
from recsae_core.recommenders import MODELS, Cases, Recommender, activations, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.strict import parse


def recommender(
    recipe: RecommenderRecipe, parts: Parts | Hidden, state: Path, device: str, progress: bool
) -> tuple[Recommender, dict[str, Any]]:
    """A trained recommender and the report of its training; ``state`` is where a killed training goes on from."""
    g = torch.Generator().manual_seed(recipe.seed)
    sizes = {"n_items": parts.train.n_items}
    if recipe.model in MODELS and "n_users" in {field.name for field in fields(MODELS[recipe.model][1])}:
        sizes["n_users"] = parts.train.n_users
    model = recommenders.build(recipe.model, generator=g, **sizes, **recipe.config)
    if recipe.fit is None:
        return model.learn(parts.train), {}
    try:
        config = TypeAdapter(FitConfig).validate_python(recipe.fit)
    except ValidationError as error:
        raise ValueError(f"fit: {error}") from error
    if isinstance(parts, Hidden) and "final" in model.sites:
        length = model.config.length
        train, valid = cases.windows(parts.train, length), cases.dated(parts, "valid", length)
    elif isinstance(parts, Hidden):
        one_each = np.bincount(parts.valid.user, minlength=parts.valid.n_users).max() == 1
        valid = cases.leave_hidden_out(parts.train, parts.valid) if one_each else cases.dated(parts, "valid", 1)
        train = cases.pairs_of(parts.train)
    else:
        length = model.config.length
        train, valid = cases.sequences(parts.train, length), cases.leave_last_out(parts.sae, length)
    state.parent.mkdir(parents=True, exist_ok=True)
    report = fit(model, train, valid, config, seed=recipe.seed, device=device, resume=state, progress=progress)
    return _rounded(model.trained(), recipe.half), asdict(report)


BATCHES = 1_000_003  # added to the seed for the batches: they are the same whatever the weights begin from


def saes(
    recipes: Sequence[SAERecipe], parent: Recommender, parts: Parts | Hidden, state: Path, device: str, progress: bool
) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Trained SAEs and the reports of their training, on the parent's vectors at a site, of all units of a part.

    The recipes have site, rows, seed and training in common. Each SAE ends as it would have alone.
    """
    from recsae_core.sae import SAE, SAEConfig, TrainConfig
    from recsae_core.sae import fit as fit_saes

    first, values = recipes[0], [recipe.merged() for recipe in recipes]
    train, g = parse(TrainConfig, values[0]["train"], "train"), torch.Generator().manual_seed(BATCHES + first.seed)
    rows = _rows(first, parent, parts, train.batch)
    width = parent.sites[first.site]
    configs = [parse(SAEConfig, value["sae"] | {"d": width}, "sae") for value in values]
    models = [SAE(config, torch.Generator().manual_seed(first.seed)).to(device) for config in configs]
    for model in models if isinstance(rows, activations.Probed) else ():
        model.prepare(rows.h.to(device))  # of all rows, where fit would take the first of a stream
    state.parent.mkdir(parents=True, exist_ok=True)
    terms = [value["terms"] for value in values]
    done = fit_saes(models, rows, terms, train, generator=g, resume=state, progress=progress)
    reports = [{"history": r.history, "rows": r.rows, "dead": int(r.dead.sum())} for r in done]
    return [
        (_rounded(r.sae, recipe.half), report | {"seconds": round(r.seconds, 1)})
        for r, report, recipe in zip(done, reports, recipes, strict=True)
    ]


def _rows(
    recipe: SAERecipe, parent: Recommender, parts: Parts | Hidden, batch: int = 256
) -> Tensor | activations.Pairs | activations.Probed:
    """What an SAE is trained on: vectors, or batches of them with the rest of the recommender."""
    if isinstance(parts, Parts):
        read = cases.inputs(getattr(parts, recipe.rows), parent.config.length)
        return activations.collect(parent, recipe.site, read).h
    g = torch.Generator().manual_seed(BATCHES + recipe.seed)
    if recipe.site in ("user", "final") and recipe.pairs is None and recipe.rows != "train":
        users = parts.sae_users if recipe.rows == "sae" else parts.test_users
        read = probed(parent, parts, users)
        return activations.Probed(parent, recipe.site, read, g, batch)
    if recipe.site != "user+item" or recipe.pairs is None or recipe.rows == "train":
        given = f"site {recipe.site!r}, pairs={recipe.pairs}, rows={recipe.rows!r}"
        hint = "expected site 'user+item', pairs and rows 'sae' or 'test' where items are hidden"
        raise ValueError(f"{given}: {hint}; or 'user' or 'final', and no pairs")
    users, items = parts.sae_users if recipe.rows == "sae" else parts.test_users, np.arange(parts.train.n_items)
    if recipe.pairs == "positive":
        taken = np.isin(parts.train.user, users)
        users, items = parts.train.user[taken], parts.train.item[taken]
    kind = "given" if recipe.pairs == "positive" else recipe.pairs
    users, items = (torch.from_numpy(ids.astype(np.int64)) for ids in (users, items))
    return activations.Pairs(parent, users, items, kind, g)


def probed(model: Recommender, parts: Hidden, users: Int[np.ndarray, "u"]) -> Cases:
    """What an SAE at ``model.probe`` is trained on: the users, or the histories before each of their items of train."""
    chosen = torch.from_numpy(users.astype(np.int64))
    if model.probe == "user":
        return cases.of_users(chosen)
    read = cases.windows(parts.train, model.config.length)
    read = read[torch.isin(read.user, chosen)]
    return Cases(read.user, read.history.scatter(1, read.length[:, None] - 1, -1))


def _rounded(module: nn.Module, half: bool) -> nn.Module:
    return module.half().float() if half else module


def load(folder: Path, kind: str, device: str) -> nn.Module:
    """The recommender or the SAE in ``folder``, in evaluation mode."""
    if kind == "recommender":
        return recommenders.load(folder, device)
    from recsae_core.sae import SAE

    return SAE.load(folder, device)


def save(module: nn.Module, folder: Path) -> None:
    """Write a recommender or an SAE to ``folder``."""
    if isinstance(module, Recommender):
        recommenders.save(module, folder)
    else:
        module.save(folder)
