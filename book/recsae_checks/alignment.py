"""Checks of notebooks/33_ex_alignment.py: correlation, selection, ROC AUC, rare genres, intervals, holes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from recsae_checks import array, close, exercise, expect, number
from recsae_core.interpret import alignment, statistics
from recsae_core.recommenders.activations import Rows
from recsae_core.sae import SAE


@exercise("3.1")
def ex_3_1(r: Any) -> str:
    """Pearson's r of four rows."""
    value = number(r)
    z, y = np.array([0.0, 0, 2, 2]), np.array([0.0, 1, 1, 1])
    right, n = np.corrcoef(z, y)[0, 1], len(z)
    near = lambda wrong: abs(value - wrong) < 0.004  # noqa: E731
    expect(not near(np.cov(z, y, ddof=0)[0, 1]), "That is a covariance: divide by both spreads.")
    expect(not near(right * n / (n - 1)), "One of the sums is divided by n and the other by n - 1: use one of them.")
    expect(not near(right**2), "That is the square of r.")
    expect(not near(z @ y / np.sqrt((z @ z) * (y @ y))), "That is a cosine: subtract the means first.")
    expect(abs(value) <= 1, "A correlation lies between -1 and 1.")
    expect(near(right), "Another number. Subtract both means, multiply, sum, and divide by the root of both squares.")
    return "What is it if the latent is 0, 0, 20, 20?"


@exercise("3.2")
def ex_3_2(correlations: Callable) -> str:
    """Correlations of columns against numpy, with constant columns."""
    g = np.random.default_rng(0)
    y = g.random(80) < 0.3
    z = np.maximum(g.normal(size=(80, 6)) + y[:, None] * g.normal(size=6), 0) + np.array([0, 3, 0, 0, 10, 0])
    z[:, 2] = 0
    found = np.asarray(correlations(z.copy(), y.copy()), dtype=float)
    expect(found.shape == (6,), f"The result has shape {found.shape}: expected one number a column.")
    expect(not np.isnan(found[2]), "A latent that never fires gives NaN: argmax would take it for the best.")
    expect(found[2] == 0, "A latent that never fires should have 0.")
    right = np.array([0 if j == 2 else np.corrcoef(z[:, j], y)[0, 1] for j in range(6)])
    with np.errstate(invalid="ignore"):
        cosine = np.nan_to_num((y @ z) / np.linalg.norm(z, axis=0) / np.linalg.norm(y))
    expect(not close(found, cosine, 1e-6), "Those are cosines, high for latents that fire everywhere: subtract means.")
    factor = found[right != 0] / right[right != 0]
    expect(not (close(factor, factor[0]) and not close(factor[0], 1)), "All off by one factor: n in one place, n - 1?")
    expect(not close(found, np.abs(right)) or close(right, np.abs(right)), "The signs are lost.")
    expect(close(found, right), "Some column differs from numpy's corrcoef.")
    return "Which genre has the best latent, and what is its r?"


@exercise("3.3")
def ex_3_3(best_by_chance: Callable) -> str:
    """The mean of the highest r by chance, against a simulation of our own."""
    ask = lambda *given: number(best_by_chance(*given, np.random.default_rng(1)))  # noqa: E731
    g = np.random.default_rng(2)
    noise, label = g.normal(size=(300, 60, 25)), g.random((300, 60)) < 0.5
    dn, dl = noise - noise.mean(1, keepdims=True), label - label.mean(1, keepdims=True)
    r = np.einsum("drm,dr->dm", dn, dl) / np.linalg.norm(dn, axis=1) / np.linalg.norm(dl, axis=1)[:, None]
    value = ask(60, 25, 300)
    near = lambda wrong: abs(value - wrong) < 0.02  # noqa: E731
    expect(not near(r.mean()), "That is the mean over latents, about zero: take the highest of them in each draw.")
    expect(not near(r.max()), "That is the highest of all draws: take the mean over draws.")
    expect(not near(np.abs(r).mean()), "That is the mean size of r: take the highest r in each draw.")
    expect(not near(np.abs(r).max(1).mean()), "The largest size, with either sign: a latent must rise with the label.")
    expect(near(r.max(1).mean()), "Another value. Is the noise drawn anew in each draw, and r computed by the columns?")
    expect(ask(60, 100, 60) > ask(60, 5, 60), "More latents must have a higher best.")
    expect(ask(400, 25, 30) < ask(40, 25, 30), "More rows must have a lower best.")
    again = best_by_chance(40, 5, 3, np.random.default_rng(3)) == best_by_chance(40, 5, 3, np.random.default_rng(3))
    expect(again, "The same generator must give the same result: draw from it and from nothing else.")
    return "Now the genres shuffled over items: how many independent rows does the test set seem to have?"


@exercise("3.4")
def ex_3_4(held_out: Callable) -> str:
    """Scores of latents chosen elsewhere."""
    g = np.random.default_rng(0)
    chosen, scored = g.uniform(-1, 1, (9, 5)), g.uniform(-1, 1, (9, 5))
    chosen[4] -= 2.0  # the largest sizes are negative
    found = array(held_out(chosen.copy(), scored.copy()), (5,), "The result")
    right = [scored[max(range(9), key=lambda j, a=a: chosen[j, a]), a] for a in range(5)]
    expect(not close(found, scored.max(0)), "You chose where you scored: the luck of the winner is back.")
    expect(not close(found, chosen.max(0)), "That is the score where it was chosen: read it off the other array.")
    sized = scored[np.abs(chosen).argmax(0), np.arange(5)]
    expect(not close(found, sized), "You chose by size: a latent with a very negative r is not a latent of the genre.")
    expect(close(found, right), "For some attribute this is not the score of the latent that was chosen for it.")
    return "On the world's latents: how far is it from the highest r on the same items?"


@exercise("3.5")
def ex_3_5(auc: Callable) -> str:
    """AUC against scikit-learn, with many ties."""
    from sklearn.metrics import roc_auc_score

    g = np.random.default_rng(0)
    for ties in (False, True):
        for _ in range(3):
            y = g.random(60) < 0.3
            z = g.normal(size=60) + y
            z = np.maximum(z - 0.5, 0).round(1) if ties else z
            value, right = number(auc(z.copy(), y.copy())), roc_auc_score(y, z)
            expect(not close(value, 1 - right) or close(right, 0.5), "The wrong way round: larger where y holds.")
            more, equal = z[y][:, None] > z[~y], z[y][:, None] == z[~y]
            if ties:
                expect(not close(value, more.mean()), "Ties count nothing: expected half a point each.")
                expect(not close(value, (more | equal).mean()), "Ties count in full: expected half a point each.")
            expect(0 <= value <= 1, "A probability lies between 0 and 1: divide by the number of pairs.")
            where = "with ties" if ties else "without ties"
            expect(close(value, right), f"It differs from scikit-learn's, {where}: which pairs are counted?")
    return "What is the AUC of a latent that never fires?"


@exercise("3.6")
def ex_3_6(share: Any, item: np.ndarray, attributes: np.ndarray, names: Sequence[str]) -> str:
    """The share of a rare genre's rows that is its most frequent item."""
    value, has = number(share), attributes[:, names.index("Whale")]
    rows = np.bincount(item, minlength=len(attributes)) * has
    expect(value <= 1, "A share lies between 0 and 1: divide by the number of rows of the genre.")
    expect(not close(value, rows.max() / len(item), 1e-3), "That is a share of all rows: expected of the genre's rows.")
    expect(not close(value, rows.sum() / len(item), 1e-3), "That is the genre's share of all rows: ask for one item.")
    expect(not close(value, 1 / has.sum(), 1e-3), "As if all items of the genre were equally frequent. Count.")
    expect(not close(value, (rows > 0).mean(), 1e-3), "That is a share of items: count rows.")
    expect(close(value, rows.max() / rows.sum(), 5e-3), "Another share. Of the genre's test rows, those of one item.")
    return "How much would you trust the precision of a latent for this genre?"


@exercise("3.7")
def ex_3_7(interval: Callable) -> str:
    """A bootstrap over items against the book's own, and against its limits."""
    g = np.random.default_rng(0)
    ask = lambda value, item: array(  # noqa: E731
        interval(value.copy(), item.copy(), 1500, np.random.default_rng(1)), (2,), "The result"
    )
    frequent = np.repeat(np.arange(40), np.where(np.arange(40) % 2, g.integers(10, 40, 40), g.integers(1, 10, 40)))
    label = ((np.arange(40) % 2) * 1.0)[frequent]
    cases = {
        "one row an item": (g.random(60), np.arange(60)),
        "many rows an item": (label, frequent * 7 + 3),
        "items out of order": (label[::-1].copy(), frequent[::-1] * 7 % 41),
    }
    for name, (value, item) in cases.items():
        low, high = ask(value, item)
        expect(low < high, f"{name}: low is not below high.")
        right = statistics.bootstrap_mean(value, g, cluster=item, draws=3000)
        rows = statistics.bootstrap_mean(value, g, draws=3000)
        width, honest, narrow = high - low, right.high - right.low, rows.high - rows.low
        if name == "one row an item":
            expect(abs(width / honest - 1) < 0.15, "With one row an item it must be the bootstrap over rows.")
            continue
        near = abs(low - right.low) + abs(high - right.high) < 0.25 * honest
        expect(near or abs(width / narrow - 1) > 0.25, f"{name}: as narrow as a bootstrap over rows. Draw items.")
        flat = np.mean([value[item == i].mean() for i in np.unique(item)])
        flat = abs((low + high) / 2 - flat) < abs((low + high) / 2 - right.value)
        expect(near or not flat, f"{name}: a mean of the items' means. An item brings all its rows into the mean.")
        expect(near, f"{name}: another interval. Draw items, take all their rows, then the percentiles of the means.")
    return "For which genres is the difference between two autoencoders wider than this?"


@exercise("3.8")
def ex_3_8(
    fires: Any,
    sae: SAE,
    train: Rows,
    test: Rows,
    attributes: np.ndarray,
    names: Sequence[str],
    children: Mapping[str, Sequence[str]],
) -> str:
    """Shares of a parent's rows and a child's rows on which the parent's latent fires."""
    wanted = {child for below in children.values() for child in below}
    expect(isinstance(fires, Mapping) and set(fires) == wanted, "fires needs one entry for each child.")
    on = sae.encode(test.h).dense().detach().numpy() > 0
    here, there = (alignment.align(sae, rows.h, rows.item, attributes).r for rows in (test, train))
    has = {name: attributes[test.item.numpy(), names.index(name)] for name in names}
    for parent in children:
        below = children[parent]
        own = on[:, there[:, names.index(parent)].argmax()]
        other = on[:, here[:, names.index(parent)].argmax()]
        siblings = np.any([has[child] for child in below], axis=0)
        for child in below:
            rest, inside = array(fires[child], (2,), f"The entry of {child}")
            expect(max(rest, inside) <= 1, f"{child}: a share lies between 0 and 1.")
            right = own[has[parent] & ~siblings].mean(), own[has[child]].mean()
            near = lambda pair, r=rest, i=inside: close((r, i), pair, 2e-3)  # noqa: E731
            best = on[:, there[:, names.index(child)].argmax()]
            if near(right):
                continue
            expect(not near(right[::-1]), f"{child}: the two are swapped.")
            expect(not close(inside, best[has[child]].mean(), 2e-3), f"{child}: that is the child's own latent.")
            rows = other[has[parent] & ~siblings].mean(), other[has[child]].mean()
            expect(not near(rows), f"{child}: the latent was chosen on the rows that score it: choose on train.")
            expect(not close(rest, own[has[parent]].mean(), 2e-3), f"{child}: its rows are among the parent's rest.")
            some = own[has[parent] & ~has[child]].mean()
            expect(not close(rest, some, 2e-3), f"{child}: another child of {parent} is still in the rest.")
            among = has[parent][own].mean(), has[child][own].mean()
            expect(not close(inside, among[1], 2e-3), f"{child}: the share of firing rows; asked is that of its rows.")
            expect(False, f"{child}: another pair. Which latent, on which rows, and who is left out of the rest?")
    return "Find the latents that fire where the parent's is silent: are they the child's own?"
