"""Checks of notebooks/35_ex_steering.py: edits, rows, doses, baselines, calibration, side effects."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from recsae_checks import exercise, expect
from recsae_core.recommenders.base import Split
from recsae_core.sae.base import Dictionary
from recsae_core.steer import response as responses
from recsae_core.steer.edit import RULES
from recsae_core.steer.methods import Lists

RAGGED = (3, 1, 5, 2)  # positions of the cases on which rows are tried


def best(scores: Tensor, seen: Tensor) -> Tensor:
    """What a user is shown: the first places, without what was seen."""
    return responses.ranked(scores, seen, torch.zeros(len(seen), dtype=torch.long))[0]


def in_common(one: Tensor, other: Tensor) -> float:
    """Mean share of the lists of ``one`` that is in those of ``other``."""
    return float((one[:, :, None] == other[:, None]).any(2).double().mean())


@exercise("5.1")
def ex_5_1(same: Mapping[str, float], lists: Lists, sae: Dictionary) -> str:
    """Shares of the top ten that survive an edit of dose zero: with the error kept, and with the copy alone."""
    expect(isinstance(same, Mapping) and set(same) == {"kept", "dropped"}, "same needs two entries: kept and dropped.")
    expect(all(same.values()), "There is no answer yet: one of the two shares is missing.")
    for name, value in same.items():
        expect(0 <= float(value) <= 1, f"{name} is no share: it must lie between 0 and 1.")
    with torch.no_grad():
        copy = lists.split.finish(sae.decode(sae.encode(lists.split.h)))
    open_ = torch.zeros_like(lists.seen)
    right = in_common(best(lists.scores, lists.seen), best(copy, lists.seen))
    unmasked = in_common(best(lists.scores, open_), best(copy, open_))
    expect(
        abs(same["kept"] - 1) < 1e-9,
        "kept: with the error kept, an edit that changes no latent is no edit at all. What did you score?",
    )
    expect(
        same["dropped"] < 1,
        "dropped cannot be the whole list: the copy is not the vector. Did you score the copy at all?",
    )
    if abs(unmasked - right) > 1e-3:
        expect(
            abs(same["dropped"] - unmasked) > 1e-3,
            "dropped was counted on lists that still hold items the user has seen: mask lists.seen first.",
        )
    expect(
        abs(same["dropped"] - right) < 2e-3,
        "dropped is another share. Compare sets of ten items, whatever their order, and take the mean over lists.",
    )
    return "What the copy alone changes is not the effect of any dose: keep the error, or you will report it as one."


@exercise("5.2")
def ex_5_2(turned: Callable[[Tensor, int, str, float], Tensor]) -> str:
    """``turned(z, latent, rule, dose)`` against the rules of the book."""
    g = torch.Generator().manual_seed(0)
    for _ in range(3):
        z = torch.rand(6, 5, generator=g) * (torch.rand(6, 5, generator=g) > 0.5)
        latent, dose, old = int(torch.randint(5, (), generator=g)), float(torch.rand((), generator=g)) + 0.5, z.clone()
        made = {rule: turned(z, latent, rule, dose) for rule in ("set", "add", "scale")}
        expect(torch.equal(z, old), "Your function changes the code that it is given: work on a copy.")
        for rule, got in made.items():
            expect(isinstance(got, Tensor) and got.shape == z.shape, f"{rule}: expected a code of the same shape.")
            others = [j for j in range(5) if j != latent]
            expect(torch.equal(got[:, others], z[:, others]), f"{rule}: a latent moved that was not chosen.")
        again = turned(made["set"], latent, "set", dose)
        expect(torch.equal(again, made["set"]), "set: setting a latent twice must be the same as setting it once.")
        expect(
            bool((made["add"][:, latent] - old[:, latent]).std() < 1e-6),
            "add: the change must be the same in every row, also where the latent is silent.",
        )
        silent = old[:, latent] == 0
        expect(
            bool((made["scale"][silent, latent] == 0).all()),
            "scale: a silent latent stays silent, whatever the factor.",
        )
        for rule, got in made.items():
            right = RULES[rule](old[:, [latent]], torch.tensor([[dose]]))[:, 0]
            expect(
                torch.allclose(got[:, latent], right),
                f"{rule}: the chosen latent has another value than the rule says.",
            )
    return "Note which dose changes nothing: it is another one for add than for scale, and set has none."


@exercise("5.3")
def ex_5_3(steer_last: Callable[[Split, Tensor, float], Tensor]) -> str:
    """``steer_last(split, direction, dose)`` on histories of unequal lengths."""
    g, n = torch.Generator().manual_seed(1), sum(RAGGED)
    case = torch.repeat_interleave(torch.arange(len(RAGGED)), torch.tensor(RAGGED))
    last = torch.zeros(n, dtype=torch.bool)
    last[torch.tensor(RAGGED).cumsum(0) - 1] = True
    h, direction = torch.randn(n, 4, generator=g), torch.randn(4, generator=g)
    split = Split(h.clone(), case, torch.zeros(n, dtype=torch.long), last, lambda rows: rows)
    got = steer_last(split, direction, 1.5)
    expect(torch.equal(split.h, h), "split.h was changed in place: the list before the edit is gone. Return new rows.")
    expect(got.shape == h.shape, "Return all rows of the split, edited or not: finish needs every one of them.")
    moved = (got != h).any(1)
    expect(
        not moved.all(),
        "Every position moved. Only the row that decides a case's list may; the others are the user's history.",
    )
    expect(bool(moved[last].any()), "No row that decides a list has moved.")
    expect(
        bool(moved[last].all()),
        "Some lists did not move: histories have different lengths, and each case has a deciding row of its own.",
    )
    expect(bool((moved == last).all()), "A row moved that decides no list: look at split.last.")
    expect(
        torch.allclose(got[last] - h[last], 1.5 * direction),
        "The step must be dose times direction in every edited row.",
    )
    expect(torch.equal(steer_last(split, direction, 0.0), h), "A dose of zero must return the rows bit for bit.")
    return "Now the same history leads to another list."


def by_dose(
    h: Tensor, finish: Callable, seen: Tensor, wanted: Tensor, vector: Tensor, doses: list[float]
) -> np.ndarray:
    """The mean share of wanted items at each dose."""
    return np.array([float(wanted[best(finish(h + d * vector), seen)].double().mean()) for d in doses])


@exercise("5.4")
def ex_5_4(difference: Callable[[Tensor, Tensor], Tensor], response: Callable[..., np.ndarray]) -> str:
    """A difference of means, and the share of wanted items by dose."""
    g = torch.Generator().manual_seed(2)
    h, has = torch.randn(40, 6, generator=g) + 3, torch.rand(40, generator=g) > 0.7
    vector = difference(h, has)
    expect(vector.shape == (6,), f"difference has shape {tuple(vector.shape)}: expected one vector of the width of h.")
    right = h[has].mean(0) - h[~has].mean(0)
    expect(not torch.allclose(vector, -right, atol=1e-4), "difference points away from the genre: swap the two means.")
    expect(
        not torch.allclose(vector, h[has].mean(0), atol=1e-4),
        "difference is the mean of the genre alone: most of it is what all rows have in common. Subtract the others.",
    )
    expect(torch.allclose(vector, right, atol=1e-4), "difference is not mean minus mean.")
    items, doses = torch.randn(50, 6, generator=g), [-1.0, 0.0, 2.0, 0.5]
    seen, wanted = torch.rand(40, 50, generator=g) > 0.6, torch.rand(50, generator=g) > 0.6
    setting = (h, lambda rows: rows @ items.T, seen, wanted, vector)
    got = np.asarray(response(*setting, doses), dtype=float)
    expect(got.shape == (4,), f"response has shape {got.shape}: expected one mean share a dose.")
    expect(bool((got >= 0).all() and (got <= 1).all()), "response: a share lies between 0 and 1.")
    true = by_dose(*setting, doses)
    unmasked = by_dose(*setting[:2], torch.zeros_like(seen), *setting[3:], doses)
    expect(
        not np.allclose(got, unmasked), "response counts items that the user has seen: mask them before the top ten."
    )
    expect(
        not np.allclose(got, by_dose(*setting, np.cumsum(doses).tolist())),
        "response adds each dose on top of the one before: every dose begins at the unedited rows.",
    )
    expect(np.allclose(got, true), "response is not the mean share of wanted items in the ten best unseen ones.")
    return "A vector that took no autoencoder: this is what a latent has to beat."


@exercise("5.5")
def ex_5_5(dose_for: Callable[..., float], side_effect: Callable[..., float]) -> str:
    """A search for the dose that gives a share, and what else moved."""
    g = np.random.default_rng(3)
    for _ in range(4):
        steps, calls = np.sort(g.uniform(0.5, 7.5, 20)) ** 2 / 8, []

        def share(dose: float, steps: np.ndarray = steps, calls: list = calls) -> float:
            calls.append(dose)
            return float((steps <= dose).mean())

        wanted = float(g.uniform(0.2, 0.8))
        got, first = float(dose_for(share, wanted, 8.0)), steps[int(np.ceil(20 * wanted)) - 1]
        used, reached = len(calls), share(got)
        expect(reached >= wanted, "dose_for: at the dose returned the share is still below what was asked for.")
        expect(
            got - first <= 0.09,
            "dose_for: a smaller dose is enough. The share rises in steps: a straight line between two ends misses.",
        )
        expect(
            used <= 40, "dose_for asks for the share too often: every call runs the recommender. Halve the interval."
        )
    try:
        dose_for(lambda dose: 0.1, 0.5, 8.0)
    except ValueError:
        pass
    else:
        expect(False, "dose_for: where even the largest dose falls short it must raise ValueError, not return a dose.")
    attributes = g.random((30, 5)) > 0.6
    before, after = (np.stack([g.permutation(30)[:10] for _ in range(12)]) for _ in range(2))
    old, new = (attributes[lists].mean((0, 1)) for lists in (before, after))
    change, others = new - old, np.arange(5) != 2
    got = float(side_effect(before, after, attributes, 2))
    expect(not np.isclose(got, np.abs(change).mean()), "side_effect counts the genre that was turned: leave it out.")
    expect(
        not np.isclose(got, change[others].mean()),
        "side_effect lets rises and falls cancel: take sizes before the mean.",
    )
    expect(np.isclose(got, np.abs(change[others]).mean()), "side_effect is not the mean size of the others' changes.")
    return "Equal share first, then the price: any other comparison rewards the method that stopped early."
