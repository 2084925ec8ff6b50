"""Checks of notebooks/31_ex_recommenders.py: metrics, ranks, baselines, gradients, order, sites, new users, leaks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from recsae_checks import Wrong, array, close, exercise, expect, number
from recsae_core.data.interactions import Interactions
from recsae_core.data.split import Parts
from recsae_core.recommenders import MF, build, cases, ranking
from recsae_core.recommenders.base import Cases, Holdout
from recsae_core.recommenders.towers import MFConfig


@exercise("1.1")
def ex_1_1(ndcg: Any) -> str:
    """NDCG@10 of three users with one hidden item each."""
    value = number(ndcg)
    rank = np.array([1, 4, 15])
    ranks = ranking.Ranking(rank, np.zeros((3, 1), int), 20, (10,))
    gain, uncut, natural = ranks["ndcg@10"], 1 / np.log2(rank + 1), 1 / np.log(rank + 1)
    near = lambda wrong: abs(value - wrong) < 0.002  # noqa: E731
    expect(0 <= value <= 1 + 1e-9 or near(natural.sum() / 3), "An NDCG lies between 0 and 1.")
    expect(not near(uncut.mean()), "One item lies beyond the cut of ten: what is it worth?")
    expect(not near(gain.sum() / 2), "You divided by the users with a hit; the mean is over all users.")
    expect(not near(gain.sum()), "That is the sum over users: expected the mean.")
    expect(not near((natural * (rank <= 10)).mean()) and not near(natural.mean()), "The logarithm is binary.")
    expect(not near((rank <= 10).mean()), "That is the hit rate, which does not ask at which place the item stands.")
    expect(not near((1 / rank * (rank <= 10)).mean()), "That is the reciprocal rank; NDCG discounts by a logarithm.")
    expect(near(gain.mean()), "Another number. Write down what each of the three users contributes, then the mean.")
    return "Which of the three users would gain most from one place further up?"


@exercise("1.2")
def ex_1_2(rank_of_target: Callable) -> str:
    """Ranks against the book's own, with and without ties and items seen."""
    g = torch.Generator().manual_seed(0)
    for kind in ("plain", "seen", "ties", "both"):
        n, i = 40, 12
        scores = torch.randn(n, i, generator=g)
        scores = scores if kind in ("plain", "seen") else scores.round()
        target = torch.randint(i, (n,), generator=g)
        seen = torch.rand(n, i, generator=g) < (0.3 if kind in ("seen", "both") else 0.0)
        seen[torch.arange(n), target] = False
        before = scores.clone()
        found = array(rank_of_target(scores, target, seen), (n,), "The result")
        expect(torch.equal(scores, before), "Your function changes the scores that it is given: work on a copy.")
        listed = cases.pad([np.flatnonzero(row) for row in seen.numpy()])
        asked = Holdout(cases.from_lists([[0]] * n), target, listed)
        right = ranking.evaluate(lambda _, s=scores: s, asked, ks=(5,), batch=n).rank
        if close(found, right):
            continue
        expect(found.min() >= 1, "Ranks count from 1: the best item has rank 1, not 0.")
        reason = {
            "plain": "Even without ties and seen items a rank is wrong: how many items score at least what it scores?",
            "seen": "Items that were seen still take places: leave them out.",
            "ties": "Ties: an item with the same score as the target stands before the target.",
            "both": "Ties among items that were seen must not count either.",
        }
        raise Wrong(reason[kind])
    return "A scorer that gives every item the same score now comes last, as it should."


@exercise("1.3")
def ex_1_3(shown: Any, parts: Parts, held: Holdout) -> str:
    """Coverage of the ten most popular unseen items."""
    value, n = number(shown), parts.train.n_items
    found = ranking.evaluate(build("most-popular", n_items=n).learn(parts.train), held)
    expect(value <= 1, "A share lies between 0 and 1: divide by the number of items.")
    lists = len(np.unique(np.sort(found.top[:, :10], 1), axis=0)) / len(held)
    expect(not close(value, 10 / n, 1e-4), "That is one list for everybody: the items a user has seen are not shown.")
    expect(not close(value, lists, 1e-4), "You counted different lists; expected the share of different items.")
    longer = [found.coverage(k) for k in (5, 20, 50)]
    expect(not any(close(value, c, 1e-4) for c in longer), "That is the coverage of lists of another length.")
    leaky = ranking.evaluate(build("most-popular", n_items=n).learn(parts.test), held).coverage(10)
    right = found.coverage(10)
    expect(close(leaky, right) or not close(value, leaky, 1e-4), "Count popularity over train, not over test users.")
    expect(close(value, right, 1e-3), "Another share. Whose lists, how long, and divided by what?")
    return "How much of the catalogue does the transformer show to the same users?"


@exercise("1.4")
def ex_1_4(push: Callable) -> str:
    """Loss and gradients of a pair against automatic differentiation."""
    g = np.random.default_rng(0)
    for trial in range(6):
        p, q, y = g.normal(size=5), g.normal(size=5), float(trial % 2)
        answer = push(p.copy(), q.copy(), y)
        expect(isinstance(answer, tuple) and len(answer) == 3, "Return three things: loss, gradient of p, of q.")
        tp, tq = (torch.tensor(v, requires_grad=True) for v in (p, q))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(tp @ tq, torch.tensor(y, dtype=torch.float64))
        loss.backward()
        value, dp, dq = number(answer[0]), array(answer[1], (5,), "Gradient of p"), array(answer[2], (5,), "That of q")
        expect(close(value, loss.item(), 1e-5), f"The loss is wrong for y = {y:g}: does it have both of its terms?")
        right_p, right_q = tp.grad.numpy(), tq.grad.numpy()
        expect(not close(dp, -right_p, 1e-5), "Signs: that is the step that lowers the loss; the gradient raises it.")
        expect(not close(dp, right_q, 1e-5), "The gradients are swapped: that of p is a multiple of q.")
        expect(
            not close(dp, (p @ q - y) * q, 1e-5) and not close(dp, 2 * (p @ q - y) * q, 1e-5),
            "That is the gradient of a squared error of the logit: where is the sigmoid?",
        )
        expect(close(dp, right_p, 1e-5), f"The gradient of p is wrong for y = {y:g}: differentiate the logit first.")
        expect(close(dq, right_q, 1e-5), f"The gradient of q is wrong for y = {y:g}: p and q play the same part.")
    return "Try a logit of 800: does your loss stay finite?"


@exercise("1.5")
def ex_1_5(backwards: Callable) -> str:
    """Reversed histories: twice is once forward, items stay, the fill stays on the right."""
    g = np.random.default_rng(0)
    history = cases.pad([g.permutation(50)[:n] for n in (5, 1, 7, 3)])
    before = history.clone()
    found = backwards(history)
    expect(torch.equal(history, before), "Your function changes the histories that it is given: work on a copy.")
    expect(isinstance(found, torch.Tensor) and found.shape == history.shape, "Expected a tensor of the same shape.")
    items = torch.equal(found.sort(1).values, history.sort(1).values)
    expect(items, "Some row does not hold the items that it held before: none may be lost, none may be new.")
    expect(torch.equal(found >= 0, history >= 0), "The fill moved: -1 must stay on the right.")
    expect(not torch.equal(found, history), "Nothing was turned around.")
    expect(torch.equal(found[:, 0], history[torch.arange(4), (history >= 0).sum(1) - 1]), "The newest must come first.")
    expect(torch.equal(backwards(found.clone()), history), "Reversing twice must give the history back.")
    return "Now evaluate the model on reversed histories: does it read the order?"


class Silent(MF):
    """A recommender that cannot be asked as a whole."""

    def forward(self, *given: Any, **more: Any) -> torch.Tensor:
        """Refuse."""
        raise Wrong("You called the model itself: use before and finish.")


@exercise("1.6")
def ex_1_6(in_two_steps: Callable) -> str:
    """Scores from a stop against the whole model, for two kinds of recommender."""
    g = torch.Generator().manual_seed(0)
    sequence = build("transformer", generator=g, n_items=30, d=8, layers=2, heads=2, length=6).eval()
    towers = MF(MFConfig(n_items=30, n_users=9, d=4), g).eval()
    silent = Silent(MFConfig(n_items=30, n_users=9, d=4), g).eval()
    silent.load_state_dict(towers.state_dict())
    asked = Cases(torch.tensor([3, 1, 8]), cases.from_lists([[1, 2, 3], [4], [5, 6, 7, 8]]).history)
    tried = [(sequence, sequence, "block0"), (towers, silent, "user")]
    for whole, model, site in tried:
        answer = in_two_steps(model, site, asked)
        expect(isinstance(answer, tuple) and len(answer) == 2, "Return a pair: the vectors, and the scores.")
        h, scores = answer
        right = whole.before(site, asked)
        fits = isinstance(h, torch.Tensor) and h.shape == right.h.shape
        expect(fits, f"The first of the pair is not the vectors at {site}: expected one row a unit, all of them.")
        expect(close(h.detach(), right.h.detach()), f"The vectors at {site} have changed: finish a copy of them.")
        expect(isinstance(scores, torch.Tensor), "The second of the pair: expected a tensor of scores.")
        expect(
            scores.shape == (len(asked), 30),
            f"The scores have shape {tuple(scores.shape)}: expected a row a case and a column an item.",
        )
        with torch.no_grad():
            wanted = whole(asked)
        expect(close(scores.detach(), wanted, 1e-5), f"At {site} your two steps give other scores than the model.")
    return "The same law holds for every recommender of this book, at every site."


@exercise("1.7")
def ex_1_7(fold_in: Callable) -> str:
    """The new user's vector against ridge regression."""
    from sklearn.linear_model import Ridge

    g = np.random.default_rng(0)
    for taken, l2 in (([1, 4, 9, 12, 13], 0.5), ([7], 2.0), ([3, 5], 1e-3)):
        items = g.normal(size=(20, 6)) * np.array([3, 1, 1, 1, 0.5, 0.2])
        found = array(fold_in(items.copy(), taken, l2), (6,), "The vector")
        q = items[taken]
        right = Ridge(alpha=l2, fit_intercept=False).fit(q, np.ones(len(taken))).coef_
        expect(
            not close(found, q.mean(0), 1e-3), "That is the mean of the items' vectors, which minimises nothing here."
        )
        expect(not close(found, q.sum(0), 1e-3), "That is the sum of the items' vectors: the system is not solved.")
        plain = np.linalg.lstsq(q, np.ones(len(taken)), rcond=None)[0]
        free = l2 > 0.1 and close(found, plain, 1e-4)
        expect(not free, "The penalty l2 has no effect: where does it enter the linear system?")
        averaged = Ridge(alpha=l2 * len(taken), fit_intercept=False).fit(q, np.ones(len(taken))).coef_
        over = close(found, averaged, 1e-4) and not close(right, averaged, 1e-3)
        expect(not over, "You averaged the squared errors: the question sums them, so that l2 weighs less.")
        gradient = q.T @ (q @ found - 1) + l2 * found
        expect(
            close(found, right, 1e-4), f"Not the smallest: the gradient there has length {norm(gradient)}, not zero."
        )
    empty = np.abs(array(fold_in(items, [], 1.0), (6,), "The vector of a user without items")).max()
    expect(empty < 1e-9, "A user who took nothing: the penalty alone decides, and is smallest at zero.")
    return "Score all items with such a vector for a user the model knows: is the list that of the trained vector?"


def norm(vector: np.ndarray) -> str:
    """A length in words of one digit."""
    return f"{np.linalg.norm(vector):.1g}"


@exercise("1.8")
def ex_1_8(hit_if_sampled: Callable) -> str:
    """The probability of a hit among drawn items, against its limits and a simulation."""
    ask = lambda *given: number(hit_if_sampled(*given))  # noqa: E731
    expect(close(ask(1, 100, 20, 1), 1.0), "The best item of all is a hit whatever is drawn.")
    for rank, wanted in ((10, 1.0), (11, 0.0)):
        exact = close(ask(rank, 100, 99, 10), wanted, 1e-6)
        expect(exact, "With all others drawn the sample is the whole: a hit up to place k, a miss beyond it.")
    expect(close(ask(60, 100, 5, 6), 1.0, 1e-6), "Fewer drawn than k: the target is always among the k best.")
    expect(
        ask(30, 100, 20, 5) < ask(25, 100, 20, 5) < ask(25, 100, 20, 6),
        "A hit must be likelier for a better rank and for a longer list.",
    )
    g = np.random.default_rng(0)
    for rank, unseen, drawn, k in ((12, 60, 20, 3), (30, 60, 20, 10), (5, 40, 30, 2)):
        others = np.delete(np.arange(unseen), rank - 1)
        lots = g.permuted(np.broadcast_to(others, (20_000, unseen - 1)), axis=1)[:, :drawn]
        share = ((lots < rank - 1).sum(1) < k).mean()
        value = ask(rank, unseen, drawn, k)
        expect(0 <= value <= 1, "A probability lies between 0 and 1.")
        one_off = ((lots < rank).sum(1) < k).mean(), ((lots < rank - 1).sum(1) <= k).mean()
        far = abs(value - share) > 0.02
        expect(not (far and abs(value - one_off[1]) < 0.01), "Off by one: with k better items drawn it is no hit.")
        expect(not far, "A simulation disagrees. How many items are better, and how many of them may be drawn?")
    return "Now average it over the ranks of two scorers: does the sample keep the distance between them?"


@exercise("1.9")
def ex_1_9(leak: Any, parts: Parts, held: Holdout) -> str:
    """NDCG@10 of EASE, learned with and without the test users' histories."""
    expect(isinstance(leak, Mapping) and set(leak) == {"honest", "leaky"}, "Expected entries honest and leaky.")
    values = {name: number(value) for name, value in leak.items()}
    honest, only = (ease(rows, held) for rows in (parts.train, parts.test))
    expect(values["leaky"] > values["honest"], "The leak should help: are the two swapped, or both learned alike?")
    expect(not close(values["honest"], honest["hr@10"].mean(), 1e-3), "That is the hit rate: expected NDCG@10.")
    expect(close(values["honest"], honest["ndcg@10"].mean(), 2e-3), "honest: other rows, or another l2, than asked.")
    alone = close(values["leaky"], only["ndcg@10"].mean(), 1e-3)
    expect(not alone, "leaky: learned from the test users alone; train belongs to it too.")
    both = replace(
        parts.train,
        user=np.concatenate([parts.train.user, parts.test.user + parts.train.n_users]),
        item=np.concatenate([parts.train.item, parts.test.item]),
        time=None,
        rating=None,
        user_ids=np.arange(parts.train.n_users + parts.test.n_users),
        users=None,
    )
    right = close(values["leaky"], ease(both, held)["ndcg@10"].mean(), 2e-3)
    expect(right, "leaky: do the whole histories of all test users take part?")
    return "Compare the leaky number with the transformer's honest one. Would a reader of a paper notice?"


def ease(rows: Interactions, held: Holdout) -> ranking.Ranking:
    """What the EASE of the question, learned from some rows, makes of the test users."""
    return ranking.evaluate(build("ease", n_items=rows.n_items, l2=30.0).learn(rows), held)
