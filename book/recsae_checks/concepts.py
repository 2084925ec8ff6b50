"""Checks of notebooks/37_ex_concepts.py: cases, enrichment, prediction, intervals, fair trials, a null."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csc_array
from scipy.stats import binom, hypergeom
from sklearn.metrics import balanced_accuracy_score, f1_score

from recsae_checks import exercise, expect
from recsae_core.interpret import coherence, concepts, statistics


@exercise("7.1")
def ex_7_1(
    again: float, z: Float[np.ndarray, "r m"], user: Int[np.ndarray, "r"], item: Int[np.ndarray, "r"], n: int
) -> str:
    """The share of latents whose ``n`` strongest cases show an item twice."""
    expect(0 <= float(again) <= 1, "A share lies between 0 and 1: divide by the number of latents that count.")
    rows = coherence.strongest(csc_array(np.where(z > 0, z, 0)), n)
    enough = (rows >= 0).all(1)

    def repeated(of: np.ndarray) -> float:
        return coherence.repeats(of[rows[enough]]).repeat_share

    right = repeated(item)
    for mistake, message in (
        (
            right * enough.sum() / z.shape[1],
            "You divide by all latents, also by those with too few cases to count.",
        ),
        (repeated(user), "That is how often a user comes twice. Look at the items that are recommended."),
        (1 - right, "You counted the latents whose items are all different."),
    ):
        expect(abs(right - mistake) < 2e-3 or abs(again - mistake) > 1e-3, message)
    expect(abs(again - right) < 2e-3, "Another share comes out here. Of each latent take the strongest cases, above 0.")
    return "A sentence about these cases would be a sentence about an item."


@exercise("7.2")
def ex_7_2(top_cases: Callable[..., np.ndarray]) -> str:
    """Strongest cases with each user and each item once."""
    for seed in range(4):
        g = np.random.default_rng(seed)
        z = np.round(g.random(60), 3) * (g.random(60) > 0.4)
        user, item, n = g.integers(25, size=60), g.integers(15, size=60), 6
        got = np.asarray(top_cases(z.copy(), user, item, n))
        expect(got.ndim == 1 and np.issubdtype(got.dtype, np.integer), "Expected an array of row numbers.")
        expect(len(got) <= n, f"You return {len(got)} cases where {n} were asked for.")
        expect(bool((z[got] > 0).all()), "A case on which the latent is silent is none of its cases.")
        expect(len(set(user[got])) == len(got), "A user is there twice: of each user only the strongest case counts.")
        expect(len(set(item[got])) == len(got), "An item is there twice: of each item only the strongest case counts.")
        expect(bool((np.diff(z[got]) <= 0).all()), "The strongest case must come first.")
        right = concepts.strongest(csc_array(z[:, None]), user, item, n).row
        expect(
            len(got) >= len(right),
            "There are more cases than you return. Take double users and items away first, and cut the list then.",
        )
        expect(
            np.array_equal(got, right),
            "These are not the cases of the rule: the strongest of each user, of those the strongest of each item.",
        )
    few = top_cases(np.array([0.5, 0.0, 0.2]), np.array([0, 1, 2]), np.array([3, 4, 5]), 5)
    expect(len(few) == 2, "Where a latent has fewer cases than asked for, return those that there are.")
    return "Twenty of these are evidence of twenty users; twenty moments of one user are not."


@exercise("7.3")
def ex_7_3(enrichment: Callable[[int, int, int, int], float]) -> str:
    """A tail of the hypergeometric distribution."""
    for count, of, having, total in ((4, 20, 60, 600), (1, 5, 30, 200), (9, 10, 40, 100), (0, 8, 10, 90)):
        got = float(enrichment(count, of, having, total))
        law = hypergeom(total, having, of)
        right = float(law.sf(count - 1))
        expect(-1e-9 <= got <= 1 + 1e-9, "A probability lies between 0 and 1.")
        expect(
            count == 0 or not np.isclose(got, law.sf(count)),
            "This is the probability of more. What was seen belongs to it: as many or more.",
        )
        expect(
            np.isclose(right, law.pmf(count)) or not np.isclose(got, law.pmf(count)),
            "This is the probability of exactly so many. A larger count would have surprised you, too: add the tail.",
        )
        expect(not np.isclose(got, law.cdf(count)) or np.isclose(right, law.cdf(count)), "You took the other tail.")
        binomial = float(binom.sf(count - 1, of, having / total))
        expect(
            np.isclose(right, binomial, rtol=0.02) or not np.isclose(got, binomial, rtol=1e-3),
            "You put each item back after it was drawn. The cases show each item once: draw without replacement.",
        )
        expect(np.isclose(got, right, rtol=1e-5, atol=1e-12), "This is not the chance of as many or more.")
    return "Chance has a name now: items drawn from the catalogue. Is that how a recommender draws them?"


@exercise("7.4")
def ex_7_4(balanced: Callable[[np.ndarray, np.ndarray], float]) -> str:
    """Balanced accuracy against scikit-learn's."""
    g = np.random.default_rng(0)
    for rate in (0.02, 0.3, 0.8):
        active = g.random(400) < rate
        active[:2] = True, False
        for constant in (True, False):
            got = float(balanced(active, np.full(400, constant)))
            expect(
                not np.isclose(got, (active == constant).mean()) or np.isclose(got, 0.5),
                "An answer that is always the same is rewarded for how rare activity is: this is plain accuracy.",
            )
            expect(np.isfinite(got), "Your division fails where nothing is predicted to be active.")
            expect(np.isclose(got, 0.5), "An answer that is always the same must get what a coin gets.")
        predicted = active ^ (g.random(400) < 0.25)
        got = float(balanced(active, predicted))
        expect(
            not np.isclose(got, f1_score(active, predicted)),
            "This is F1: it is blind to silent cases left out.",
        )
        expect(
            np.isclose(got, balanced_accuracy_score(active, predicted)),
            "This is not the mean of two rates: active cases that are predicted, silent ones that are left out.",
        )
    return "Now a description has to know something about both kinds of cases."


@exercise("7.5")
def ex_7_5(interval: Callable[[int, int], tuple[float, float]]) -> str:
    """Wilson's interval against the book's."""
    for k, n in ((0, 10), (10, 10), (3, 10), (41, 60), (1, 200)):
        low, high = map(float, interval(k, n))
        share, half = k / n, 1.96 * np.sqrt(k / n * (1 - k / n) / n)
        expect(high - low > 1e-6, "At 0 of 10 your interval has no width: ten trials cannot make anybody so sure.")
        expect(-1e-9 <= low and high <= 1 + 1e-9, "Your interval leaves the range of a share. Clipping it is no cure.")
        expect(
            not np.allclose([low, high], np.clip([share - half, share + half], 0, 1), atol=2e-4),
            "This is the interval that trusts the share which it doubts: its centre must move towards one half.",
        )
        expect(low - 1e-9 <= share <= high + 1e-9, "The share that was seen lies outside.")
        right = statistics.wilson(np.array([k]), np.array([n]))
        less = statistics.wilson(np.array([k]), np.array([n]), 0.9)
        expect(
            not np.allclose([low, high], [less.low[0], less.high[0]], atol=1e-3),
            "This is a 90% interval.",
        )
        expect(
            np.allclose([low, high], [right.low[0], right.high[0]], atol=1e-3),
            "Wilson's ends are others.",
        )
    return "Read it aloud: so few cases say so little."


@exercise("7.6")
def ex_7_6(two_sides: Callable[..., tuple[np.ndarray, np.ndarray]]) -> str:
    """Cases that write and cases that try, without a common user or item."""
    g = np.random.default_rng(1)
    user, item = g.integers(80, size=1500), g.integers(50, size=1500)
    writes, tries = (np.asarray(m) for m in two_sides(user, item, np.random.default_rng(2)))
    expect(writes.shape == tries.shape == (1500,) and writes.dtype == bool, "Expected two masks, one entry a case.")
    expect(not (writes & tries).any(), "A case is on both sides.")
    expect(
        not set(user[writes]) & set(user[tries]),
        "A user is on both sides: what is learned of the user may be what is predicted.",
    )
    expect(
        not set(item[writes]) & set(item[tries]),
        "An item is on both sides: a description of that item alone would pass the trial.",
    )
    for side, name in ((writes, "writes"), (tries, "tries")):
        expect(side.sum() > 150, f"{name} keeps only {int(side.sum())} of 1500 cases: about a quarter can stay.")
        expect(len(set(user[side])) > 20 and len(set(item[side])) > 10, f"{name} has too few: halve users and items.")
    other = two_sides(user, item, np.random.default_rng(3))[0]
    expect(not np.array_equal(writes, other), "Another generator gives the same halves: draw them at random.")
    return "Half of the cases are lost, and what is left is worth a claim."


@exercise("7.7")
def ex_7_7(dealt: Callable[..., np.ndarray]) -> str:
    """Descriptions dealt out to other latents."""
    g = np.random.default_rng(5)
    described = g.random(40) < 0.6
    scores = np.where(described[:, None], g.random((40, 12)), 0).astype(np.float32)
    old, told = scores.copy(), np.flatnonzero(described)
    for seed in range(20):
        got = np.asarray(dealt(scores, described, np.random.default_rng(seed)))
        expect(np.array_equal(scores, old), "The scores that were passed in have changed: return new ones.")
        expect(got.shape == scores.shape, "Expected scores of the same shape.")
        expect(not got[~described].any(), "A latent without a description got one: deal among those that have one.")
        expect(
            np.allclose(np.sort(got[told, 0]), np.sort(scores[told, 0])),
            "A description is lost, or there twice, or its items were mixed: each must go whole to one other latent.",
        )
        own = (got[told] == scores[told]).all(1)
        expect(not own.any(), "Some latent keeps its own description now and then: then the null contains the claim.")
    one, two = (dealt(scores, described, np.random.default_rng(s)) for s in (1, 2))
    expect(not np.array_equal(one, two), "Every generator deals the same way: draw at random.")
    return "The words are real, their number and their length are real. Only what they are about is wrong."
