"""What a recipe says, done: the one place that knows how recommenders and SAEs are trained, saved and loaded."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from recsae_book.recipes import RecommenderRecipe, SAERecipe
from recsae_core import recommenders
from recsae_core.data.split import Parts
from recsae_core.recommenders import Recommender, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.strict import parse


def recommender(
    recipe: RecommenderRecipe, parts: Parts, state: Path, device: str, progress: bool
) -> tuple[Recommender, dict[str, Any]]:
    """A trained recommender and the report of its training; ``state`` is where a killed training goes on from."""
    g = torch.Generator().manual_seed(recipe.seed)
    model = recommenders.build(recipe.model, n_items=parts.train.n_items, generator=g, **recipe.config)
    if recipe.fit is None:
        return model.learn(parts.train), {}
    try:
        config = TypeAdapter(FitConfig).validate_python(recipe.fit)
    except ValidationError as error:
        raise ValueError(f"fit: {error}") from error
    length = model.config.length
    train, valid = cases.sequences(parts.train, length), cases.leave_last_out(parts.sae, length)
    state.parent.mkdir(parents=True, exist_ok=True)
    report = fit(model, train, valid, config, seed=recipe.seed, device=device, resume=state, progress=progress)
    return model, asdict(report)


BATCHES = 1_000_003  # added to the seed for the batches: they are the same whatever the weights begin from


def saes(
    recipes: Sequence[SAERecipe], parent: Recommender, parts: Parts, state: Path, device: str, progress: bool
) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Trained SAEs and the reports of their training, on the parent's vectors at all positions of a part.

    The recipes have site, rows, seed and training in common. Each SAE ends as it would have alone.
    """
    from recsae_core.recommenders import activations
    from recsae_core.sae import SAE, SAEConfig, TrainConfig
    from recsae_core.sae import fit as fit_saes

    first, values = recipes[0], [recipe.merged() for recipe in recipes]
    read = cases.inputs(getattr(parts, first.rows), parent.config.length)
    rows = activations.collect(parent, first.site, read).h
    configs = [parse(SAEConfig, value["sae"] | {"d": rows.shape[1]}, "sae") for value in values]
    models = [SAE(config, torch.Generator().manual_seed(first.seed)).to(device) for config in configs]
    train, g = parse(TrainConfig, values[0]["train"], "train"), torch.Generator().manual_seed(BATCHES + first.seed)
    state.parent.mkdir(parents=True, exist_ok=True)
    terms = [value["terms"] for value in values]
    done = fit_saes(models, rows, terms, train, generator=g, resume=state, progress=progress)
    reports = [{"history": r.history, "rows": r.rows, "dead": int(r.dead.sum())} for r in done]
    return [(r.sae, report | {"seconds": round(r.seconds, 1)}) for r, report in zip(done, reports, strict=True)]


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
