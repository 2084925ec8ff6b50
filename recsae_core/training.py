"""What a recipe says, done: the one place that knows how recommenders and SAEs are trained, saved and loaded."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from recsae_core import recommenders
from recsae_core.data.split import Parts
from recsae_core.recipes import RecommenderRecipe, SAERecipe
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


def sae(
    recipe: SAERecipe, parent: Recommender, parts: Parts, state: Path, device: str, progress: bool
) -> tuple[nn.Module, dict[str, Any]]:
    """A trained SAE and the report of its training, on the parent's vectors at all positions of a part."""
    from recsae_core.recommenders import activations
    from recsae_core.sae import SAE, SAEConfig, TrainConfig
    from recsae_core.sae import fit as fit_saes

    read = cases.inputs(getattr(parts, recipe.rows), parent.config.length)
    rows = activations.collect(parent, recipe.site, read).h
    values, g = recipe.merged(), torch.Generator().manual_seed(recipe.seed)
    model = SAE(parse(SAEConfig, values["sae"] | {"d": rows.shape[1]}, "sae"), g).to(device)
    train = parse(TrainConfig, values["train"], "train")
    state.parent.mkdir(parents=True, exist_ok=True)
    (result,) = fit_saes([model], rows, values["terms"], train, generator=g, resume=state, progress=progress)
    report = {"history": result.history, "rows": result.rows, "dead": int(result.dead.sum())}
    return result.sae, report | {"seconds": round(result.seconds, 1)}


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
