"""A null of one's own: random directions that lie as the data lie, beside an SAE and the book's random dictionary."""

import numpy as np
import torch
from torch import Tensor

from recsae_core.data import sources, split
from recsae_core.interpret import alignment, dictionaries, statistics
from recsae_core.recommenders import activations, build, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.sae import SAE, SAEConfig, TrainConfig, metrics
from recsae_core.sae import fit as fit_saes


def shaped_random(
    x: Tensor, m: int, l0: float, g: torch.Generator
) -> dictionaries.Linear:
    """``m`` random directions with the covariance of the rows ``x``, behind a ReLU, at ``l0`` active latents a row.

    Controls for: where the variance is. Isotropic directions waste themselves where no row ever points.
    """
    spread = (x - x.mean(0)) / len(x) ** 0.5
    directions = (
        torch.randn(m, len(x), generator=g) @ spread
    )  # E[w w'] is the covariance of the rows
    return dictionaries.thresholded_directions(directions, x, l0, g)


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
        activations.collect(model, "block0", cases.inputs(part, 25))
        for part in (parts.sae, parts.test)
    )

    sae, train = (
        SAE(SAEConfig(d=32, m=128, sparsifier="topk", k=8), g),
        TrainConfig(rows=50_000, batch=256),
    )
    fit_saes(
        [sae],
        x.h,
        {"fvu": 1.0, "auxk": 1 / 32},
        train,
        generator=g,
        progress=False,
    )
    l0 = metrics.reconstruction(sae, x.h).l0
    halves = statistics.item_halves(
        np.bincount(x.item, minlength=150), 20, np.random.default_rng(0)
    )
    for name, draws in {
        "SAE": [sae],
        "random, shaped by the data": [
            shaped_random(x.h, 128, l0, g) for _ in range(3)
        ],
        "random in all directions": [
            dictionaries.random_relu(x.h, 128, l0, g) for _ in range(3)
        ],
    }.items():
        found = [
            alignment.align(one, test.h, test.item, parts.test.attributes)
            for one in draws
        ]
        r = [
            float(np.nanmean(alignment.held_out_max(one, halves)))
            for one in found
        ]
        print(
            f"{name:28} r {np.mean(r):.2f} on items that had no say, {len(r)} draw{'s' * (len(r) > 1)}"
        )
