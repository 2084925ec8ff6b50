"""A sparsifier of one's own: TopK without the jump, each row lowered by its own (k+1)th largest value."""

from functools import partial

import torch
from torch import Tensor

from recsae_core.data import sources, split
from recsae_core.recommenders import activations, build, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.sae import SAE, SAEConfig, TrainConfig, metrics
from recsae_core.sae import fit as fit_saes
from recsae_core.sae.base import Code
from recsae_core.sae.selected import centred_linear
from recsae_core.sae.sparsifiers import SPARSIFIERS


def lowered(pre: Tensor, k: int) -> Tensor:
    """What of each row exceeds its (k+1)th largest value: at most ``k`` are positive, and none jumps from 0."""
    level = pre.topk(k + 1, dim=1).values[:, -1:]
    return (pre - level.clamp(min=0)).relu()


def shrunk_topk(sae: SAE, u: Tensor, k: int) -> tuple[Tensor, Code]:
    """Pre-activations [n, m] of standardised rows, and a dense code."""
    pre = centred_linear(u, sae.b_dec, sae.encoder, sae.b_enc)
    return pre, Code(lowered(pre, k), None, sae.m)


SPARSIFIERS["shrunk-topk-8"] = partial(
    shrunk_topk, k=8
)  # from here on SAEConfig knows the name

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

    configs = {
        "shrunk-topk-8": SAEConfig(d=32, m=128, sparsifier="shrunk-topk-8")
    }
    configs["topk, k = 8"] = SAEConfig(d=32, m=128, sparsifier="topk", k=8)
    saes = [
        SAE(config, torch.Generator().manual_seed(0))
        for config in configs.values()
    ]
    train = TrainConfig(rows=50_000, batch=256)
    done = fit_saes(saes, x, {"fvu": 1.0}, train, generator=g, progress=False)
    for name, result in zip(configs, done, strict=True):
        found = metrics.reconstruction(result.sae, test)
        print(
            f"{name:14} L0 {found.l0:4.1f}, FVU {found.fvu:.3f} on new users, {int(result.dead.sum())} latents dead"
        )
