"""The feature cards of the explorer: a name for each latent, what the name is worth on other items, and the nulls.

A latent is named on half of the items, after the label with which it correlates most, and scored on the other half.
Beside it stand what the best of as many random directions reaches by the same rule, and what a step of the same length
does to the lists, along that direction and along any.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.data.interactions import Interactions
from recsae_core.interpret import alignment, dictionaries, effects, statistics, vocabulary
from recsae_core.recommenders.base import Split
from recsae_core.sae.base import Dictionary
from recsae_core.steer.edit import edit

BINS = 16  # of a histogram
DOSE = 2.0  # at which a latent's effect on the lists is measured
DRAWS = 5  # random dictionaries
K = 10
WORDS = 0.03  # share of the titles that a word must be in to be a label


class Labels(NamedTuple):
    """What a latent may be named after."""

    has: Bool[np.ndarray, "i a"]
    kinds: list[str]  # genre, decade or word
    names: list[str]


class Lists(NamedTuple):
    """Cases on which steering is measured: the recommender stopped at the rows that decide their lists."""

    split: Split
    seen: Bool[Tensor, "n i"]


def labels(inter: Interactions, counts: Int[np.ndarray, "i"]) -> Labels:
    """Genres, decades, and words that many titles have in common; ``counts`` are training rows of each item."""
    found = vocabulary.terms(inter.items, inter.attributes, inter.attribute_names, counts)
    has = found.has.toarray()
    common = has.mean(0) >= WORDS
    kept = [t for t, kind in enumerate(found.kinds) if kind in ("genre", "decade") or (kind == "word" and common[t])]
    return Labels(has[:, kept], [found.kinds[t] for t in kept], [found.names[t] for t in kept])


def cards(
    dictionary: Dictionary,
    fit: Float[Tensor, "f d"],
    h: Float[Tensor, "n d"],
    item: Int[Tensor, "n"],
    known: Labels,
    lists: Lists,
    unit: Float[Tensor, "m"],
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A card for each latent that fires, the best first. Random dictionaries are made from the rows ``fit``.

    ``h`` are rows with their items, which name and score; ``unit`` is a step of each latent on ``lists``.
    """
    found = alignment.align(dictionary, h, item, known.has)
    g = np.random.default_rng(seed)
    half = statistics.item_halves(found.count, 1, g)[0]
    chosen = np.nan_to_num(found.on_items(half), nan=-1.0)
    chosen[:, np.isnan(found.on_items(~half)).all(0)] = -1.0
    best = chosen.argmax(1)
    r, low, high = _scored(found, ~half, best, g)
    null, rivals = _random_best(dictionary, fit, h, item, known, half, seed)
    before, after, spread, others = _steered(dictionary, lists, known.has, best, unit, rivals, seed)
    codes = alignment.nonzero(dictionary, h)
    out = []
    for j in np.argsort(-r, kind="stable"):
        z, at = codes.data[codes.indptr[j] : codes.indptr[j + 1]], codes.indices[codes.indptr[j] : codes.indptr[j + 1]]
        if not (z > 0).any() or not unit[j] > 0:
            continue
        mean = np.where(found.count > 0, found.sum_z[j] / np.maximum(found.count, 1), 0.0)
        yes, ends = known.has[item.numpy()[at], best[j]], np.linspace(0, float(z.max()), BINS + 1)
        out.append(
            {
                "latent": int(j),
                "label": int(best[j]),
                "unit": float(unit[j]),
                "chosen": _short(chosen[j, best[j]]),
                "r": [_short(x[j]) for x in (r, low, high)],
                "null": _short(null[best[j]]),
                "fires": _short(found.fire_rate[j]),
                "recall": [_short(x) for x in found.recall[j]],
                "precision": _short(found.precision[j, best[j]]),
                "items": np.argsort(-mean, kind="stable")[: min(K, int((mean > 0).sum()))].tolist(),
                "most": _short(z.max()),
                "with": np.histogram(z[yes & (z > 0)], ends)[0].tolist(),
                "without": np.histogram(z[~yes & (z > 0)], ends)[0].tolist(),
                "rows": [int(found.count @ known.has[:, best[j]]), len(item)],
                "steer": [_short(x) for x in (before[best[j]], after[j], *spread[j], *others[j])],
            }
        )
    return out


def _scored(
    found: alignment.Alignment, scored: Bool[np.ndarray, "i"], best: Int[np.ndarray, "m"], g: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """r of each latent with its label on the scored items, with the 95% interval of a bootstrap over these items."""
    members = np.flatnonzero(scored)
    drawn = g.multinomial(len(members), np.full(len(members), 1 / len(members)), size=400)
    weight = np.zeros((401, len(scored)))
    weight[0, members], weight[1:, members] = 1.0, drawn
    label = found.attributes[:, best].T  # of each latent its own
    n, y = (weight @ found.count)[:, None], (weight * found.count) @ label.T
    z, zz, zy = weight @ found.sum_z.T, weight @ found.sum_zz.T, weight @ (found.sum_z * label).T
    spread = (zz / n - (z / n) ** 2) * (y / n - (y / n) ** 2)
    r = np.where(spread > 1e-12, (zy / n - z * y / n**2) / np.sqrt(np.maximum(spread, 1e-12)), 0.0)
    low, high = np.quantile(r[1:], (0.025, 0.975), axis=0)
    return r[0], low, high


def _random_best(
    dictionary: Dictionary,
    fit: Float[Tensor, "f d"],
    h: Float[Tensor, "n d"],
    item: Int[Tensor, "n"],
    known: Labels,
    half: Bool[np.ndarray, "i"],
    seed: int,
) -> tuple[Float[np.ndarray, "a"], Float[Tensor, "r a d"]]:
    """Held-out r of the best of as many random directions, as sparse, for each label, mean of draws; and what it adds.

    It is chosen on the same half as the latents' names; what it adds has length 1.
    """
    active = float((dictionary.encode(fit).dense() > 0).sum(1).float().mean())
    found, rivals = [], []
    for draw in range(DRAWS):
        g = torch.Generator().manual_seed(1000 * seed + draw)
        random = dictionaries.random_relu(fit, dictionary.m, active, g)
        all_of = alignment.align(random, h, item, known.has)
        halved = alignment.Halved(all_of.r, all_of.on_items(half)[None], all_of.on_items(~half)[None])
        found.append(halved.held_out[0])
        steps = effects.directions(random)[torch.from_numpy(halved.latents[0])]
        rivals.append(torch.nn.functional.normalize(steps, dim=1))
    return np.nan_to_num(np.mean(found, 0)), torch.stack(rivals)


@torch.no_grad()
def _steered(
    dictionary: Dictionary,
    lists: Lists,
    has: Bool[np.ndarray, "i a"],
    best: Int[np.ndarray, "m"],
    unit: Float[Tensor, "m"],
    rivals: Float[Tensor, "r a d"],
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean share in the top 10: of each label before; of each latent's own after, with its interval; and after others.

    The others are steps as long: along any direction, and along the random directions that are best for the label.
    """
    g, split = torch.Generator().manual_seed(seed), lists.split
    has_label = torch.from_numpy(has)

    def top(h: Tensor) -> Tensor:
        return split.finish(h).masked_fill(lists.seen, -torch.inf).topk(K, 1).indices

    before = has_label[top(split.h)].float().mean((0, 1)).numpy()
    length = effects.directions(dictionary).norm(dim=1) * unit * DOSE
    draws = np.random.default_rng(seed).integers(len(split.h), size=(400, len(split.h)))
    after, spread, others = np.zeros(dictionary.m), np.zeros((dictionary.m, 2)), np.zeros((dictionary.m, 2))
    for j, label in enumerate(best.tolist()):
        if not unit[j] > 0:
            continue
        share = has_label[top(edit(split, dictionary, [j], "add", DOSE, unit=unit)), label].float().mean(1).numpy()
        step = torch.nn.functional.normalize(torch.randn(split.h.shape, generator=g), dim=1) * length[j]
        after[j], spread[j] = share.mean(), np.quantile(share[draws].mean(1), (0.025, 0.975))
        rival = rivals[j % len(rivals), label] * length[j]
        others[j] = [float(has_label[top(split.h + s), label].float().mean()) for s in (step, rival)]
    return before, after, spread, others


def _short(x: Any) -> float:
    return round(float(x), 4)
