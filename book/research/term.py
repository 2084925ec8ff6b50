"""A term of one's own: decoder rows are pushed apart, so that no two latents say the same."""

import torch
import torch.nn.functional as F
from torch import Tensor

from recsae_core.data import sources, split
from recsae_core.recommenders import activations, build, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.sae import SAE, SAEConfig, TrainConfig, metrics
from recsae_core.sae import fit as fit_saes
from recsae_core.sae.terms import Pass


def overlap(W: Tensor) -> Tensor:
    """The cosine of each row of ``W`` with each other row, ``[m, m]``, 0 on the diagonal."""
    rows = F.normalize(W, dim=1)
    return rows @ rows.T - torch.eye(len(W), dtype=W.dtype)


def apart(p: Pass) -> Tensor:
    """Mean over latents of the summed squares of positive cosines with the others: 0 where no two lean together."""
    return overlap(p.sae.W_dec).relu().square().sum() / p.sae.m


if __name__ == "__main__":
    parts, g = (
        split.by_rule(sources.load("planted", users=600, items=150, length=25)),
        torch.Generator().manual_seed(0),
    )
    sizes = {
        "n_items": parts.train.n_items,
        "d": 32,
        "layers": 2,
        "heads": 1,
        "length": 25,
    }
    model, valid = (
        build("transformer", generator=g, **sizes),
        cases.leave_last_out(parts.sae, 25),
    )
    fit(
        model,
        cases.sequences(parts.train, 25),
        valid,
        FitConfig(epochs=6, lr=0.003, batch=32),
        seed=0,
        progress=False,
    )
    x, test = (
        activations.collect(model, "block0", cases.inputs(part, 25)).h
        for part in (parts.sae, parts.test)
    )

    weights = (0.0, 0.01, 0.1, 1.0)
    saes = [
        SAE(
            SAEConfig(d=32, m=64, sparsifier="topk", k=8),
            torch.Generator().manual_seed(0),
        )
        for _ in weights
    ]
    terms = [
        {"fvu": 1.0, "apart": (weight, apart)} for weight in weights
    ]  # (weight, function): no registry needed
    done = fit_saes(
        saes,
        x,
        terms,
        TrainConfig(rows=50_000, batch=256),
        generator=g,
        progress=False,
    )
    for weight, result in zip(weights, done, strict=True):
        found, near = (
            metrics.reconstruction(result.sae, test),
            overlap(result.sae.W_dec.detach()).amax(1).mean(),
        )
        print(
            f"weight {weight:4}: nearest other latent at cosine {near:.2f}, FVU {found.fvu:.3f} on new users"
        )
