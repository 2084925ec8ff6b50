import numpy as np
import pytest
import torch
from scipy.sparse import csc_array

from recsae_book import concept_test
from recsae_book.concept_test import Bench, Codes
from recsae_book.instances import Instances
from recsae_core.interpret.vocabulary import terms

GENRES, ITEMS = 4, 120


@pytest.fixture(scope="module")
def bench():
    """Cases whose vector is the genre of their recommendation; 12 items of any genre in each list."""
    import pandas as pd

    rng = np.random.default_rng(0)
    genre = np.arange(ITEMS) % GENRES
    count = rng.permutation(np.arange(ITEMS)) + 1
    found = []
    for users in (range(300), range(300, 500)):
        likes = rng.integers(GENRES, size=len(users))
        top = np.stack([rng.permutation(np.flatnonzero(genre == g))[:12] for g in likes])
        h = torch.from_numpy(np.eye(GENRES, dtype=np.float32)[likes])
        found.append(Instances(h, np.array(users), np.empty((len(users), 0), dtype=int), top))
    titles = pd.DataFrame({"id": range(ITEMS), "title": [f"Item {i}" for i in range(ITEMS)]})
    names = [f"genre {g}" for g in range(GENRES)]
    about = terms(titles, np.eye(GENRES, dtype=bool)[genre], names, count)
    return Bench(*found, count, about, torch.zeros(ITEMS, GENRES), 20, 5)


def codes(bench):
    return Codes(*(csc_array(one.h.numpy()) for one in (bench.construct, bench.verify)))


def test_halves_share_no_item_and_stay_within(bench):
    within = np.arange(ITEMS) < 80
    for one, other in bench.halves(3, 0, within):
        assert not (one & other).any() and ((one | other) == within).all() and one.sum() == other.sum()
    assert (bench.halves(1, 0)[0][0] | bench.halves(1, 0)[0][1]).all()


def test_a_case_recommends_the_best_item_of_the_half(bench):
    half = bench.halves(1, 0)[0][0]
    best = concept_test.best_of(bench.construct, half)
    for row, item in zip(bench.construct.top, best, strict=True):
        assert item == next((i for i in row if half[i]), -1)


def test_planted_concepts_are_confident_and_only_a_list_of_items_needs_the_items_again(bench):
    found = bench.trials(codes(bench), bench.halves(1, 0)[0], 0, checks=True, leaks=True)
    for mode in concept_test.MODES:
        assert found["held out", mode].confident().all() and found["all three", mode].confident().all()
        assert found["popularity", mode].balanced.value.mean() < 0.65
        assert not found["list, held out", mode].confident().any()
        assert found["list, same items", mode].balanced.value.mean() > 0.8
    assert {way for way, _ in found} >= {"shuffled", "same users", "easy negatives"}


def test_activations_on_other_cases_are_nobodys_concept(bench):
    moved = codes(bench).permuted(0)
    assert moved.alive.all() and moved.construct.nnz == codes(bench).construct.nnz
    assert not bench.trials(moved, bench.halves(1, 0)[0], 0)["held out", "top"].confident().any()
