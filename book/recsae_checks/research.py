"""Checks of notebooks/38_ex_research.py: a row again, a control, power, selection, and what popularity explains."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from recsae_checks import exercise, expect, number
from recsae_core.data.interactions import Interactions
from recsae_core.interpret import statistics
from recsae_core.recommenders import build, ranking
from recsae_core.recommenders.base import Holdout


@exercise("8.1")
def ex_8_1(row: Mapping[str, float], train: Interactions, held: Holdout) -> str:
    """NDCG@10 of the most popular items with an interval over users."""
    expect(isinstance(row, Mapping) and set(row) == {"value", "low", "high"}, "row needs value, low and high.")
    expect(all(v is not None for v in row.values()), "There is no answer yet: one of the three is missing.")
    value, low, high = (number(row[key]) for key in ("value", "low", "high"))
    expect(low <= value <= high, "The value must lie inside its own interval.")
    found = ranking.evaluate(build("most-popular", n_items=train.n_items).learn(train), held)
    count = np.bincount(train.item, minlength=train.n_items)
    place = (count[None] >= count[held.target.numpy()][:, None]).sum(1)
    loose = np.where(place <= 10, 1 / np.log2(place + 1.0), 0).mean()
    right = found["ndcg@10"]
    if abs(loose - right.mean()) > 1e-3:
        expect(abs(value - loose) > 5e-4, "Items that a user has seen stand in the way of new ones: leave them out.")
    expect(
        abs(value - found["hr@10"].mean()) > 5e-4,
        "This is how often the item is among the ten. NDCG pays less for lower places.",
    )
    expect(
        abs(value - right.mean()) < 5e-4, "The value is another one. Mean over all held-out users, misses count as 0."
    )
    wide, n = right.std(), len(right)
    expect(
        high - low < 2.5 * wide, "That is where the users lie. Asked is where their mean lies: resample it many times."
    )
    true = statistics.bootstrap_mean(right, np.random.default_rng(0))
    ends = max(abs(low - true.low), abs(high - true.high))
    expect(
        ends < 0.25 * (true.high - true.low),
        f"The ends are far from a 95% bootstrap over {n} users: draw users with replacement, and take the mean.",
    )
    return "A row that somebody else can compute again is a result."


def no_effect(seed: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents that know items and not the label: 24 items, each on many rows."""
    g = np.random.default_rng(seed)
    item = np.repeat(np.arange(24), 15)
    z = g.normal(size=(24, m))[item] + 0.3 * g.normal(size=(len(item), m))
    return z, item, g.permutation(np.arange(24) < 8)


@exercise("8.2")
def ex_8_2(p_value: Callable[..., float]) -> str:
    """A test by permutation on worlds without an effect and on one with it."""
    draws, p = 60, []
    for seed in range(25):
        z, item, has = no_effect(seed, 8)
        p.append(float(p_value(z, item, has, draws, np.random.default_rng(seed))))
        expect(0 <= p[-1] <= 1, "A p value lies between 0 and 1.")
    expect(min(p) > 0, f"A p of 0 after {draws} shuffles: the data themselves are one of the arrangements. Count them.")
    mean = float(np.mean(p))
    expect(
        mean > 0.12,
        "Where nothing is to be found you find something nearly always. Rows of one item share its label: shuffle the "
        "labels of items, not of rows, and take the best latent in the null, too.",
    )
    expect(
        mean > 0.36,
        "Where nothing is to be found your p is too small on average. The claim took the best of all latents: so must "
        "every shuffle.",
    )
    expect(
        mean < 0.68, "Where nothing is to be found your p is too large on average: count the shuffles that do as well."
    )
    z, item, has = no_effect(99, 8)
    z[:, 3] += 4 * has[item]
    strong = float(p_value(z, item, has, draws, np.random.default_rng(1)))
    expect(strong < 0.06, "A latent that plainly follows the label is not found.")
    return "A control that a meaningless dictionary passes as often as it should, and no more often."


@exercise("8.3")
def ex_8_3(power: Callable[..., float]) -> str:
    """Power of a t interval against the exact one."""
    studies = 1500
    for effect, n in ((0.0, 5), (-0.3, 60), (0.3, 60), (0.1, 200)):
        got = float(power(effect, n, studies, np.random.default_rng(0)))
        expect(0 <= got <= 1, "Power is a share of studies.")
        bar = stats.t.ppf(0.975, n - 1)
        shift = effect * np.sqrt(n)
        right = float(stats.nct.sf(bar, n - 1, shift) + stats.nct.cdf(-bar, n - 1, shift))
        if effect == 0:
            expect(
                got > 0.01,
                "Without an effect 5% of the studies must find one. Yours are too shy: is it the standard error?",
            )
            expect(
                got < 0.085,
                "Without an effect 5% of the studies must find one. Yours find more: with five users 1.96 is not t.",
            )
        if effect < 0:
            expect(got > 0.5 * right, "An effect downwards is an effect: the interval must leave out 0 on either side.")
        expect(
            abs(got - right) < 0.045,
            f"With {n} users and an effect of {effect:g} the exact power is another.",
        )
    return "Ask it before the experiment. Afterwards it can only explain why nothing was found."


@exercise("8.4")
def ex_8_4(chosen_and_reported: Callable[..., tuple[int, float, float]]) -> str:
    """Selection on one half and report on the other."""
    for seed in range(5):
        g = np.random.default_rng(seed)
        scores, half = g.normal(size=(30, 40)), g.permutation(40) < 20
        best, inside, outside = chosen_and_reported(scores, half)
        means = scores[:, half].mean(1), scores[:, ~half].mean(1)
        everywhere = int(scores.mean(1).argmax())
        expect(
            int(best) == int(means[0].argmax()) or int(best) != everywhere,
            "You chose on all units: the half that reports has had its say already.",
        )
        expect(
            int(best) == int(means[0].argmax()) or int(best) != int(means[1].argmax()),
            "You chose on the unmarked half: the marked one chooses.",
        )
        expect(
            int(best) == int(means[0].argmax()), "Another candidate is best on the marked half: mean over its units."
        )
        expect(
            abs(float(outside) - float(inside)) > 1e-9,
            "You report on the half that chose. That number is the flattered one.",
        )
        expect(abs(float(inside) - means[0][int(best)]) < 1e-6, "The mean on the marked half is another one.")
        expect(abs(float(outside) - means[1][int(best)]) < 1e-6, "The mean on the other half is another one.")
    return "The difference of the two is the optimism, and it grows with the number of candidates."


def world_of_popularity(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A latent that follows popularity alone, and a genre of popular items."""
    g = np.random.default_rng(seed)
    count = np.sort(np.exp(2 * g.normal(size=400)) * 20)[::-1].astype(int) + 1
    has = g.random(400) < np.linspace(0.6, 0.0, 400)
    return np.log(count) + 0.3 * g.normal(size=400), has, count


def strata(z: np.ndarray, has: np.ndarray, count: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The contrast in each stratum that has both kinds, and the items that have the genre there."""
    place = np.argsort(np.argsort(-count, kind="stable"), kind="stable")
    table = pd.DataFrame({"group": place * bins // len(z), "has": has, "z": z}).groupby(["group", "has"])["z"]
    mean, size = (table.agg(what).unstack() for what in ("mean", "size"))
    both = mean.notna().all(axis=1)
    return (mean[True] - mean[False])[both].to_numpy(), size.loc[both, True].to_numpy()


@exercise("8.5")
def ex_8_5(beyond_popularity: Callable[..., float]) -> str:
    """A contrast among items of equal popularity."""
    for seed in range(4):
        z, has, count = world_of_popularity(seed)
        got, plain = float(beyond_popularity(z, has, count, 10)), z[has].mean() - z[~has].mean()
        expect(
            np.isfinite(got), "Some stratum has items of one kind only: leave it out instead of dividing by nothing."
        )
        contrast, weight = strata(z, has, count, 10)
        right = float(contrast @ weight / weight.sum())
        expect(abs(got - plain) > 1e-6, "This is the plain contrast: items of unequal popularity are compared.")
        expect(
            abs(got) < 0.6 * abs(plain),
            "Too much of popularity is left. Strata of equal width put nearly all items into one: cut by rank.",
        )
        expect(
            abs(got - contrast.mean()) > 1e-9 or abs(right - contrast.mean()) < 1e-9,
            "Every stratum counts the same in yours. Weight each by the items of the genre in it.",
        )
        expect(
            np.sign(got) == np.sign(right) or abs(right) < 0.02,
            "The sign is turned: those with the genre minus the others.",
        )
        expect(
            abs(got - right) < 1e-6,
            "The contrast within strata is another one: equal numbers of items, in order of count.",
        )
    g = np.random.default_rng(8)
    z, has, count = world_of_popularity(8)
    own = 2.0 * has + g.normal(size=400)
    expect(
        abs(float(beyond_popularity(own, has, count, 10)) - 2) < 0.6,
        "A contrast that popularity does not explain is lost.",
    )
    return "What is left is what popularity cannot say. It is not yet what the latent is about."
