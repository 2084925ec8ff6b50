"""Turn a concept's latents: what its items do against the others, what it costs, and what nulls of equal size do.

The public code of 2411.06112 has no ablation, tuning or de-biasing: the definitions are ours. The reconstruction
error is kept, so that a factor of 1 is the recommender itself, bit for bit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.sae.base import Dictionary
from recsae_core.steer.edit import Dose, coded, edit
from recsae_core.steer.methods import Lists, Method, Moves

DEPTHS = (10, 20)  # of the lists in which a concept's share is counted


@dataclass(frozen=True)
class Change:
    """What each dose does to each list; row 0 is the list as it was. Items that a user has seen are left out."""

    share: Float[np.ndarray, "p n 2"]  # of the concept's items among the first ``DEPTHS``
    score: Float[np.ndarray, "p n"]  # their mean rise less that of the others, in standard deviations of the scores
    rank: Float[np.ndarray, "p n"]  # the same in places, as a share of all unseen items: positive is towards the top
    overlap: Float[np.ndarray, "p n"]  # share of the first ten that stood among them before
    ndcg: Float[np.ndarray, "p n"]  # at 10, with the one target


@torch.no_grad()
def changes(
    lists: Lists, method: Method, doses: Sequence[Dose], items: Bool[Tensor, "i"], target: Int[Tensor, "n"]
) -> Change:
    """What ``method`` does to a concept's ``items`` and to the ``target`` of each list, at each of its doses.

    Both shifts are NaN where none of these items, or none of the others, is unseen. ``ValueError`` for none or all.
    """
    if items.shape != lists.scores.shape[1:] or not items.any() or items.all():
        raise ValueError(f"items marks {int(items.sum())} of {len(items)}: expected some of them, and not all")
    old, its, others = lists.scores, ~lists.seen & items, ~lists.seen & ~items
    n_its, n_others, shown = its.sum(1).double(), others.sum(1).double(), DEPTHS[0]
    free = old.double().masked_fill(lists.seen, torch.nan)
    spread = (free - free.nanmean(1, keepdim=True)).square().nanmean(1).sqrt()
    gain = 1 / torch.arange(2, shown + 2, dtype=torch.float64).log2()
    found: list[tuple[Tensor, ...]] = []
    for dose in [None, *doses]:
        scores = old if dose is None else method(lists, dose)
        order = torch.from_numpy((-scores).masked_fill_(lists.seen, torch.inf).numpy().argsort(1))  # 5 x torch's speed
        rise, top = scores - old, order[:, : DEPTHS[1]]
        places = (its.gather(1, order) * torch.arange(len(items))).sum(1)
        first, stood = (top[:, :shown], places) if dose is None else (first, stood)
        share = torch.stack([items[top[:, :depth]].double().mean(1) for depth in DEPTHS], 1)
        own, rest = ((rise * those).sum(1, dtype=torch.float64) for those in (its, others))
        rank = (stood - places) * (1 / n_its + 1 / n_others) / (n_its + n_others)  # others lose what these gain
        overlap = (top[:, :shown, None] == first[:, None]).any(2).double().mean(1)
        ndcg = ((top[:, :shown] == target[:, None]) * gain).sum(1)
        found.append((share, (own / n_its - rest / n_others) / spread, rank, overlap, ndcg))
    return Change(*(torch.stack(column).numpy() for column in zip(*found, strict=True)))


@dataclass(frozen=True)
class AsFar(Moves):
    """A null: each row goes along ``vector`` as far as ``inner`` would move it, backwards below its ``neutral``."""

    inner: Moves
    vector: Float[Tensor, "d"]
    neutral: float = 1.0  # the dose of ``inner`` that changes nothing

    def rows(self, lists: Lists, dose: Dose) -> Float[Tensor, "n d"]:
        """``h`` and the step."""
        h, sign = lists.split.h, torch.as_tensor(dose).sub(self.neutral).sign().reshape(-1, 1)
        length = (self.inner.rows(lists, dose) - h).norm(dim=1, keepdim=True)
        return h + sign * length * self.vector / self.vector.norm()


@dataclass(frozen=True)
class Neighbour(Moves):
    """A null: of each row another active latent is scaled, drawn by ``seed``; a row without another stays as it is."""

    dictionary: Dictionary
    latents: tuple[int, ...]  # never drawn
    seed: int = 0

    def rows(self, lists: Lists, dose: Dose) -> Float[Tensor, "n d"]:
        """``edit`` with the rule ``scale``, of the same latent at every dose."""
        code = lists.once(self.dictionary, lambda: coded(lists.split, self.dictionary))
        drawn = lists.once(self, lambda: self._drawn(code.z.value))
        rule = lambda z, amount: torch.where(drawn, z * amount, z)  # noqa: E731
        return edit(lists.split, self.dictionary, range(self.dictionary.m), rule, dose, code=code)

    def _drawn(self, z: Float[Tensor, "n m"]) -> Bool[Tensor, "n m"]:
        chance = (z != 0).float()
        chance[:, list(self.latents)] = 0
        one = torch.rand(chance.shape, generator=torch.Generator().manual_seed(self.seed)) * chance
        return (one == one.amax(1, keepdim=True)) & (chance > 0)


def matched(
    z: Float[Tensor, "n m"], latents: Sequence[int], avoid: Collection[int], g: np.random.Generator, near: int = 10
) -> list[int]:
    """For each of ``latents`` a random one of the ``near`` most alike, none twice and none of those to ``avoid``.

    Alike in the logarithms of the firing rate and of the mean where active, each in standard deviations over the
    living latents. ``ValueError`` for a latent that never fires, and where none is left.
    """
    count = (z > 0).sum(0).double()
    alive = count > 0
    if dead := [j for j in latents if not alive[j]]:
        raise ValueError(f"latent {dead[0]} fires on none of {len(z)} rows: nothing can be matched with it")
    size = torch.stack([count, z.clamp(min=0).sum(0).double() / count], 1).log()
    size = ((size - size[alive].mean(0)) / size[alive].std(0).clamp(min=1e-9)).numpy()
    left, out = sorted(set(alive.nonzero()[:, 0].tolist()) - {*avoid, *latents}), []
    for j in latents:
        if not left:
            raise ValueError(f"latent {j}: none of {int(alive.sum())} living latents is left to be matched with it")
        pool = np.square(size[left] - size[j]).sum(1).argsort(kind="stable")[:near]
        out.append(left.pop(int(g.choice(pool))))
    return out
