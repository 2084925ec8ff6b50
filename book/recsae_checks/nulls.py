"""Checks of notebooks/34_ex_nulls.py: chance, equal sparsity, random directions, shuffles, many tests, own nulls."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy import stats

from recsae_checks import array, close, exercise, expect, number
from recsae_core.interpret import alignment, dictionaries
from recsae_core.recommenders.activations import Rows
from recsae_core.sae import SAE, Dictionary
from recsae_core.sae.base import Code

LEVEL, TESTS = 0.05, 16


@exercise("4.1")
def ex_4_1(luck: Any) -> str:
    """The probability of at least one success among independent tests."""
    value = number(luck)
    expect(not close(value, LEVEL * TESTS, 1e-3), "A sum of probabilities counts double what happens twice.")
    none = stats.binom.pmf(0, TESTS, LEVEL)
    expect(not close(value, none, 2e-3), "That is the probability that all of them fail.")
    expect(not close(value, stats.binom.pmf(1, TESTS, LEVEL), 2e-3), "That is exactly one; asked is at least one.")
    expect(not close(value, LEVEL), "That is the probability for a single test.")
    expect(0 <= value <= 1, "A probability lies between 0 and 1.")
    expect(close(value, stats.binom.sf(0, TESTS, LEVEL), 2e-3), "Another number. When does none of them succeed?")
    return "And with a hundred genres?"


@exercise("4.2")
def ex_4_2(threshold_for: Callable) -> str:
    """One threshold for a wanted number of values a row."""
    g = np.random.default_rng(0)
    for n, m, l0 in ((200, 10, 3), (300, 8, 0.5), (100, 20, 7.25)):
        pre = g.normal(size=(n, m)) * g.uniform(0.2, 3, (n, 1)) + g.normal(size=m)
        answer = threshold_for(pre.copy(), l0)
        expect(np.ndim(answer) == 0, "One threshold for all rows and latents: expected a single number.")
        t = number(answer)
        found = (pre > t).sum() / n
        below = (pre <= t).sum() / n
        expect(abs(below - l0) > 1.5 / n or abs(found - l0) < 1.5 / n, "So many lie below it: expected above it.")
        share = (pre > t).mean()
        whole = not float(l0).is_integer() and abs(found - round(l0)) < 1.5 / n
        expect(not whole, "You rounded l0: on average a row may have a broken number of active latents.")
        expect(abs(share - l0 / 100) > 1e-3 or abs(found - l0) < 1.5 / n, "You took l0 for a percentage.")
        per_row = np.mean([np.sort(row)[::-1][min(int(l0), m - 1)] for row in pre])
        expect(not close(t, per_row, 1e-3), "A mean of one threshold a row: rank all values together.")
        expect(abs(found - l0) < 1.5 / n, f"{found:.3g} values a row lie above it where {l0} were asked for.")
    return "Does every row have the same number of active latents now?"


@exercise("4.3")
def ex_4_3(random_code: Callable) -> str:
    """A random code: sparsity, sign, centre, linearity, and where its randomness comes from."""
    g = np.random.default_rng(0)
    x = g.normal(size=(400, 6)) * np.array([2, 1, 1, 1, 0.5, 0.3]) + 5
    ask = lambda rows, m=40, l0=5: array(  # noqa: E731
        random_code(rows.copy(), m, l0, np.random.default_rng(1)), (len(rows), m), "The code"
    )
    z = ask(x)
    expect((z >= 0).all(), "The code has negative values: cut at zero.")
    l0 = (z > 0).sum(1).mean()
    expect((z > 0).sum(1).std() > 0, "Every row has equally many active latents: one threshold, not the k largest.")
    expect(close(ask(x), z), "The same generator must give the same code: draw from it and from nothing else.")
    expect(close(ask(x + 3), z, 1e-4), "Rows that are all shifted alike have another code: centre them first.")
    expect(abs(l0 / 5 - 1) < 0.05, f"{l0:.2f} latents a row are active where 5 were asked for.")
    slopes = []
    for j in np.flatnonzero((z > 0).sum(0) > 20):
        on = z[:, j] > 0
        design = np.column_stack([x[on] - x.mean(0), np.ones(on.sum())])
        slope, rest, *_ = np.linalg.lstsq(design, z[on, j], rcond=None)
        expect(rest.size == 0 or rest[0] < 1e-6, "Where a latent is active it should be linear in the row.")
        slopes.append(slope)
    slopes = np.array(slopes)
    lengths = np.linalg.norm(slopes[:, :-1], axis=1)
    expect(close(lengths, lengths[0], 1e-3), "The directions differ in length: longer ones fire more often.")
    expect(close(lengths, 1, 1e-3), "The directions do not have length 1.")
    expect(close(slopes[:, -1], slopes[0, -1], 1e-4), "Each latent has a threshold of its own: one for all.")
    return "Which genres does such a dictionary find?"


def best(dictionary: Dictionary, rows: Rows, genres: np.ndarray) -> float:
    """The mean over genres of the highest r."""
    return alignment.mean_max_correlation(alignment.align(dictionary, rows.h, rows.item, genres))


@exercise("4.4")
def ex_4_4(by_chance: Any, sae: SAE, train: Rows, test: Rows, attributes: np.ndarray) -> str:
    """The score of random dictionaries as a share of the autoencoder's."""
    value, of = number(by_chance), best(sae, test, attributes)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    drawn = [dictionaries.random_relu(train.h, sae.m, sae.config.k, g) for g in generators]
    scores = np.array([best(d, test, attributes) for d in drawn])
    right = scores.mean() / of
    expect(not close(value, scores.mean(), 3e-3), "That is the score itself: divide by the autoencoder's.")
    expect(not close(value, 1 / right, 3e-3), "The wrong way round: random over trained.")
    expect(not close(value, 1 - right, 3e-3), "That is what training adds: expected what random directions get.")
    expect(value <= 1, "More than the autoencoder has: score on test rows, both by the same function.")
    firsts = scores[0] / of, scores.max() / of
    expect(close(right, firsts[0], 2e-4) or not close(value, firsts[0], 1e-4), "One dictionary: take three.")
    expect(not close(value, firsts[1], 1e-4), "The best of three: expected their mean.")
    expect(close(value, right, 1e-2), "Another share. Three random dictionaries, with the autoencoder's m and k?")
    return "What, then, did training add?"


@exercise("4.5")
def ex_4_5(shuffled: Any, sae: SAE, test: Rows, attributes: np.ndarray) -> str:
    """Scores with rows shuffled and with items shuffled."""
    expect(isinstance(shuffled, Mapping) and set(shuffled) == {"rows", "items"}, "Two entries: rows and items.")
    values = {name: number(value) for name, value in shuffled.items()}
    g, n = np.random.default_rng(7), len(test.h)
    items = [best(sae, test, attributes[g.permutation(len(attributes))]) for _ in range(4)]
    free = Rows(test.h, test.case, torch.arange(n), test.last)
    low = best(sae, free, attributes[test.item.numpy()][g.permutation(n)])
    high, intact = np.mean(items), best(sae, test, attributes)
    expect(not close(values["items"], intact, 1e-2), "items: the genres were not shuffled at all.")
    expect(not close(values["rows"], intact, 1e-2), "rows: the genres were not shuffled at all.")
    expect(values["rows"] < values["items"], "Shuffling rows destroys more than shuffling items: are they swapped?")
    expect(
        abs(values["rows"] - low) < 0.2 * low,
        "rows: another score. Do the rows of one item still share their genres? Here each row is by itself.",
    )
    message = "items: another score. Do all rows of an item get the genres of one other item, all genres together?"
    expect(abs(values["items"] - high) < 0.2 * high, message)
    return "Which of the two would you compare the autoencoder with, and what does the other one hide?"


@exercise("4.6")
def ex_4_6(discoveries: Callable) -> str:
    """Benjamini and Hochberg against scipy, in any order of the p-values."""
    g = np.random.default_rng(0)
    tried = [np.array([0.9, 0.04, 0.005, 0.039, 0.012]), np.array([0.6, 0.9, 0.7]), np.array([0.001, 0.002])]
    tried += [g.random(TESTS) ** 3 for _ in range(20)]
    for p in tried:
        for q in (0.05, 0.1):
            found = np.asarray(discoveries(p.copy(), q))
            expect(found.shape == p.shape and found.dtype == bool, "Expected a boolean array in the order of p.")
            right = stats.false_discovery_control(p) <= q
            if (found == right).all():
                continue
            ranked = np.sort(p) <= q * np.arange(1, len(p) + 1) / len(p)
            until = p <= (np.sort(p)[ranked.argmin() - 1] if ranked[0] and not ranked.all() else -1.0)
            expect(
                found.sum() != right.sum(), "As many discoveries as there should be, but others: keep the order of p."
            )
            expect((found != (p <= q)).any(), "Each test by itself at level q: nothing is corrected.")
            expect((found != (p <= q / len(p))).any(), "That is Bonferroni: compare with a line that rises.")
            expect((found != until).any(), "You stopped at the first p-value above its line: the largest below counts.")
            single = np.zeros(len(p), dtype=bool)
            single[np.argsort(p)] = ranked
            expect((found != single).any(), "All below the largest discovery are discoveries, whatever their own line.")
            expect(False, "It differs from scipy's false_discovery_control.")
    return "Which of sixteen genres does the autoencoder discover?"


@exercise("4.7")
def ex_4_7(needed: Any) -> str:
    """The fewest shuffles that can discover one of many."""
    value = number(needed)
    expect(value == int(value) and value > 0, "Expected a whole number of shuffles.")
    p = np.ones(TESTS)

    def finds(shuffles: float) -> bool:
        p[0] = 1 / (1 + shuffles)
        return bool((stats.false_discovery_control(p) <= LEVEL + 1e-12).any())

    expect(not close(value, 1 / LEVEL - 1) and not close(value, 1 / LEVEL), "As if there were a single test.")
    expect(finds(value), "Too few: the smallest p-value there can be still lies above the first line.")
    off = not finds(value - 1) or finds(value - 2)
    expect(off, "One fewer is enough as well: what stands under the fraction bar?")
    expect(not finds(value - 1), "Fewer are enough: what is the smallest p-value that so many shuffles can give?")
    return "What if all sixteen genres had a perfect latent?"


@exercise("4.8")
def ex_4_8(
    margin: Any, sae: SAE, nulls: Mapping[str, Dictionary], test: Rows, attributes: np.ndarray, halves: np.ndarray
) -> str:
    """Distance to the strongest null, genre by genre."""
    value = array(margin, (attributes.shape[1],), "margin")
    found = {name: alignment.align(d, test.h, test.item, attributes) for name, d in {"": sae, **nulls}.items()}
    r = {name: alignment.held_out_max(a, halves).mean(0) for name, a in found.items()}
    same = {name: a.r.max(0) for name, a in found.items()}
    own, others = r.pop(""), np.array([r[name] for name in nulls])
    apart = same.pop(""), np.array([same[name] for name in nulls])
    right = own - others.max(0)
    expect(not close(value, -right, 1e-4), "The signs: the autoencoder minus the null.")
    expect(not close(value, apart[0] - apart[1].max(0), 1e-4), "Chosen and scored on the same items: use held_out_max.")
    expect(not close(value, own - others.mean(0), 1e-4), "Against the mean of the nulls: the strongest counts.")
    strongest = own - others[others.mean(1).argmax()]
    expect(not close(value, strongest, 1e-4), "One null for all genres: take the highest r in each genre.")
    for name, alone in zip(nulls, others, strict=True):
        expect(not close(value, own - alone, 1e-4), f"That is the distance to {name} alone.")
    expect(close(value, right, 1e-3), "Another margin. The same halves for all five, the mean over them first?")
    return "For how many genres would you dare to say it, and with which interval?"


@exercise("4.9")
def ex_4_9(own_null: Callable, train: Rows) -> str:
    """The contract of a null: a dictionary, as many latents, as sparse, drawn from the generator."""
    x = train.h[:: max(1, len(train.h) // 4000)]
    d, made = x.shape[1], {}
    for m, l0 in ((48, 4), (100, 10)):
        null = own_null(x, m, l0, torch.Generator().manual_seed(0))
        expect(isinstance(null, Dictionary), "Expected a dictionary: d, m, encode and decode.")
        expect(null.d == d, f"Its rows have width {null.d}: expected that of x.")
        expect(null.m == m, f"It has {null.m} latents where {m} were asked for: more latents have more chances.")
        code = null.encode(x)
        expect(isinstance(code, Code), "encode must return a Code.")
        z = code.dense().detach()
        expect(tuple(z.shape) == (len(x), m), "The code does not have one row a row and one column a latent.")
        expect((z >= 0).all(), "Its latents are signed: behind a ReLU, as the autoencoder's, none is negative.")
        found = float((z > 0).sum(1).float().mean())
        expect(abs(found / l0 - 1) < 0.05, f"{found:.1f} latents a row are active where {l0} were asked for.")
        expect(tuple(null.decode(code).shape) == tuple(x.shape), "decode must return rows of the width of x.")
        made[m] = z
    again, other = (own_null(x, 48, 4, torch.Generator().manual_seed(s)).encode(x).dense() for s in (0, 1))
    expect(
        close(again, made[48], 1e-4), "The same generator gave another dictionary: draw from it and from nothing else."
    )
    message = "Another generator gave the same dictionary: with a single draw nobody sees how much chance there is."
    expect(not close(other, made[48], 1e-4), message)
    return "What did you expect it to score, and what did it score?"
