"""Recommenders that stop half-way: models that split at a site, one fit loop, full ranking. Knows ``data``."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from recsae_core import storage
from recsae_core.recommenders.base import Cases, Recommender, Split
from recsae_core.recommenders.baselines import EASE, EASEConfig, ItemKNN, ItemKNNConfig, MostPopular, MostPopularConfig
from recsae_core.recommenders.bpr import BPRMF, BPRConfig, LightGCN, LightGCNConfig
from recsae_core.recommenders.last import LastConfig, LastSASRec
from recsae_core.recommenders.towers import MF, NCF, MFConfig, NCFConfig, TwoTowers
from recsae_core.recommenders.transformer import SASRecConfig, Transformer, TransformerConfig

__all__ = ["MODELS", "Cases", "Recommender", "Split", "build", "load", "save"]

MODELS: dict[str, tuple[type[Recommender], type]] = {
    "transformer": (Transformer, TransformerConfig),
    "sasrec": (Transformer, SASRecConfig),
    "most-popular": (MostPopular, MostPopularConfig),
    "item-knn": (ItemKNN, ItemKNNConfig),
    "ease": (EASE, EASEConfig),
    "mf": (MF, MFConfig),
    "ncf": (NCF, NCFConfig),
    "bprmf": (BPRMF, BPRConfig),
    "lightgcn": (LightGCN, LightGCNConfig),
    "sasrec-last": (LastSASRec, LastConfig),
}


def build(
    name: str, *, generator: torch.Generator | None = None, n_users: int | None = None, **config: Any
) -> Recommender:
    """A new, untrained recommender; ``generator`` draws the initial weights where the model has any.

    ``n_users`` is for models with a vector a user; the others pass it over. Raises ``ValueError`` for an unknown name
    or option.
    """
    if name not in MODELS:
        raise ValueError(f"recommender {name!r}: expected one of {', '.join(MODELS)}")
    model, options = MODELS[name]
    if n_users is not None and "n_users" in (field.name for field in fields(options)):
        config["n_users"] = n_users
    try:
        filled = options(**config)
    except TypeError as error:
        raise ValueError(f"{name}: {str(error).rpartition('__init__() ')[2]}") from error
    return model(filled, generator) if issubclass(model, Transformer | TwoTowers | LastSASRec) else model(filled)


def save(model: Recommender, folder: Path) -> None:
    """Write weights and configuration to ``folder``, replacing what is there; ``ValueError`` for a model not known."""
    kind = (type(model), type(getattr(model, "config", None)))
    name = next((name for name, known in MODELS.items() if known == kind), None)
    if name is None:
        raise ValueError(f"{type(model).__name__}: expected one of {', '.join(MODELS)}")
    storage.save(folder, model.state_dict(), {"recommender": name, "config": asdict(model.config)})


def load(folder: Path, device: str = "cpu") -> Recommender:
    """The recommender that ``save`` wrote, in evaluation mode; ``ValueError`` names what does not fit."""
    tensors, stored = storage.load(folder, device)
    try:
        model = build(stored["recommender"], **stored["config"])
        model.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{folder}: not a recommender of this version ({error}); make it again") from error
    return model.to(device).eval()
