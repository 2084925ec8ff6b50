"""Whose cases write the descriptions and whose try them: the plumbing of notebooks/22_confidence.py."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csc_array

from recsae_book.instances import Instances, instances
from recsae_core.data.split import Hidden
from recsae_core.interpret import concepts, statistics
from recsae_core.interpret.confidence import Confidence, Trials, confidence, permuted, trials
from recsae_core.interpret.vocabulary import Vocabulary, terms
from recsae_core.recommenders import Recommender
from recsae_core.sae.base import Dictionary

MODES = ("top", "any")
Marked = Bool[np.ndarray, "i"]
Found = dict[tuple[str, str], Confidence]


class Codes(NamedTuple):
    """What a dictionary makes of the cases that write and of those that try."""

    construct: csc_array
    verify: csc_array

    @property
    def alive(self) -> Bool[np.ndarray, "m"]:
        """Latents above 0 on at least 1 in 10,000 of the cases that try: the denominator, for every dictionary."""
        return np.diff(self.verify.indptr) >= max(1, 1e-4 * self.verify.shape[0])

    def permuted(self, seed: int) -> "Codes":
        """The activations of each latent on other cases."""
        g = np.random.default_rng(seed)
        return Codes(*(permuted(z, g) for z in self))


@dataclass(frozen=True)
class Bench:
    """Cases of users who trained the SAE, which write the descriptions, and of users who did not, which try them."""

    construct: Instances
    verify: Instances
    popularity: Int[np.ndarray, "i"]
    vocabulary: Vocabulary
    items: Float[torch.Tensor, "i d"]  # what a row is multiplied with
    most: int  # active cases of a latent that write, and that try
    least: int  # without so many there is no verdict

    @classmethod
    def of(
        cls,
        model: Recommender,
        parts: Hidden,
        *,
        users: int,
        positions: tuple[int, int],
        kind: str = "genre",
        most: int = 20,
        least: int = 5,
    ) -> "Bench":
        """The cases of at most ``users`` of those who trained the SAE, and of all others, at the last ``positions``.

        All users of a model that reads the user, for it has one case of each.
        """
        train, drawn = parts.train, np.random.default_rng(0).permutation(parts.sae_users)
        drawn = drawn[:users] if hasattr(model.config, "length") else drawn
        who = zip((drawn, parts.test_users), positions, strict=True)
        found = [instances(model, parts, some, positions=n, depth=12) for some, n in who]
        count = np.bincount(train.item, minlength=train.n_items)
        items = model.item.weight if hasattr(model, "item") else model.vectors()[1]
        about = terms(train.items, train.attributes, train.attribute_names, count, kind=kind)
        kept = np.flatnonzero(np.array(about.kinds) != "popularity")  # silent cases are as popular: nothing to tell
        columns = (tuple(all_[t] for t in kept) for all_ in (about.kinds, about.names))
        about = Vocabulary(about.has[:, kept], *columns, about.without_text)
        return cls(*found, count, about, items.detach(), most, least)

    def codes(self, dictionary: Dictionary) -> Codes:
        """The activations of a dictionary on both kinds of cases."""
        return Codes(*(concepts.codes(dictionary, one.h) for one in (self.construct, self.verify)))

    def halves(self, splits: int, seed: int, within: Marked | None = None) -> list[tuple[Marked, Marked]]:
        """Items of descriptions and items of trials, at random, equally popular; of all items or ``within`` some."""
        allowed = np.full(len(self.popularity), True) if within is None else within
        out = np.zeros((splits, 2, len(allowed)), dtype=bool)
        marked = statistics.item_halves(self.popularity[allowed], splits, np.random.default_rng(seed))
        out[:, 0, allowed], out[:, 1, allowed] = marked, ~marked
        return [(one, other) for one, other in out]

    def trials(
        self, z: Codes, marks: tuple[Marked, Marked], seed: int, *, checks: bool = False, leaks: bool = False
    ) -> Found:
        """Confidence by what is tried and mode: "held out", and with ``checks`` shuffled descriptions and popularity.

        With ``leaks`` also less strictly: on the items that wrote, on the users that wrote, against any silent case,
        and all three, as in the authors' code; and a mere list of the items that wrote, on these and on others.
        """
        g, told, tried = np.random.default_rng(seed), self.construct, self.verify
        wrote, other = best_of(told, marks[0]), best_of(tried, marks[1])
        described = concepts.describe(z.construct, told.user, wrote, self.vocabulary, cases=self.most)
        scores, has = concepts.scores(described, self.vocabulary), np.array([bool(one.terms) for one in described])
        dealt = np.arange(len(has))
        dealt[z.alive] = g.permutation(dealt[z.alive])
        ways = {"held out": (z.verify, tried, other, False)}
        if leaks:
            ways["same items"] = (z.verify, tried, best_of(tried, marks[0]), False)
            ways["same users"] = (z.construct, told, best_of(told, marks[1]), False)
            ways["easy negatives"] = (z.verify, tried, other, True)
            ways["all three"] = (z.construct, told, wrote, True)
        out = {}
        for mode in MODES:
            first = trials(z.construct, told.user, wrote, self.popularity, g, mode=mode, most=self.most)
            for name, (codes, cases, item, easy) in ways.items():
                second = trials(codes, cases.user, item, self.popularity, g, easy=easy, mode=mode, most=self.most)
                means = {name: scores}
                if checks and name == "held out":
                    known = np.log1p(self.popularity) * _side(first, self.popularity)[:, None]
                    means |= {"shuffled": scores[dealt], "popularity": known}
                if leaks and name in ("held out", "same items"):
                    means[f"list, {name}"] = np.zeros_like(scores)
                    means[f"list, {name}"][first.latent[first.active], first.item[first.active]] = 1
                for by, s in means.items():
                    told_of = s.any(1) if by.startswith("list") else has[dealt] if by == "shuffled" else has
                    out[by, mode] = confidence(s, first, second, told_of, least=self.least)
        return out


def best_of(cases: Instances, marked: Marked) -> Int[np.ndarray, "r"]:
    """The best recommendation of each case among some items; -1 where none is at the top of its list."""
    inside = marked[cases.top]
    best = np.take_along_axis(cases.top, inside.argmax(1)[:, None], 1)[:, 0]
    return np.where(inside.any(1), best, -1)


def _side(first: Trials, popularity: np.ndarray) -> Float[np.ndarray, "m"]:
    signed = np.where(first.active, 1, -1) * np.log1p(popularity)[first.item]
    return np.where(np.bincount(first.latent, signed, first.m) < 0, -1.0, 1.0)
