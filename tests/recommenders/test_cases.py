import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from requirements import needs

from recsae_core.data import sources, split
from recsae_core.recommenders import cases

from .worlds import interactions

HISTORIES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=6).filter(
    lambda hs: any(len(h) >= 2 for h in hs)
)


def unpad(rows):
    return [row[row >= 0].tolist() for row in rows]


@given(histories=HISTORIES, length=st.integers(1, 6))
def test_every_form_holds_the_right_items_of_the_right_users(histories, length):
    inter = interactions(histories, 10)
    users = [u for u, h in enumerate(histories) if len(h) >= 2]
    train, read = cases.sequences(inter, length), cases.inputs(inter, length)
    held = cases.leave_last_out(inter, length)
    assert train.user.tolist() == read.user.tolist() == held.cases.user.tolist() == users
    assert unpad(train.history) == [histories[u][-length - 1 :] for u in users]
    assert unpad(read.history) == unpad(held.cases.history) == [histories[u][:-1][-length:] for u in users]
    assert held.target.tolist() == [histories[u][-1] for u in users]
    assert unpad(held.seen) == [histories[u][:-1] for u in users]
    assert len(held) == len(users) and held[:1].target.tolist() == held.target[:1].tolist()


@given(histories=HISTORIES, length=st.integers(1, 6), positions=st.integers(1, 8))
def test_tails_are_the_last_positions_of_the_inputs(histories, length, positions):
    inter = interactions(histories, 10)
    made, held = cases.tails(inter, length, positions), cases.leave_last_out(inter, length)
    assert torch.equal(made.cases.history, held.cases.history) and torch.equal(made.cases.user, held.cases.user)
    expected = []
    for row, user in enumerate(made.cases.user.tolist()):
        history = histories[user]
        for target in range(len(history) - min(positions, int(made.cases.length[row])), len(history)):
            expected.append((row, history[target], sorted(set(history[:target]))))
    seen = [s.nonzero()[:, 0].tolist() for s in made.seen]
    assert list(zip(made.case.tolist(), made.target.tolist(), seen, strict=True)) == expected
    last = torch.cat([made.case.diff() > 0, torch.tensor([True])])
    assert torch.equal(made.target[last], held.target) and len(made) == len(expected)
    assert [set(h) for h in unpad(held.seen)] == [set(s.nonzero()[:, 0].tolist()) for s in made.seen[last]]


def test_padding_is_on_the_right():
    made = cases.from_lists([[1], [2, 3, 4]])
    assert made.history.tolist() == [[1, -1, -1], [2, 3, 4]] and made.user.tolist() == [-1, -1]
    assert made.length.tolist() == [1, 3]


def test_worlds_without_a_pair_of_items_are_refused():
    with pytest.raises(ValueError, match="no user among 2 has two interactions"):
        cases.sequences(interactions([[1], [2]], 3), 5)
    with pytest.raises(ValueError, match="length=0"):
        cases.inputs(interactions([[1, 2]], 3), 0)
    with pytest.raises(ValueError, match="positions=0"):
        cases.tails(interactions([[1, 2]], 3), 2, 0)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:ml-1m. ratings.dat differs")
def test_positions_of_ml_1m():
    needs("data")
    parts = split.seqrec(sources.load("ml-1m"))
    assert int(cases.inputs(parts.test, 128).length.sum()) == 49_923
    assert int(cases.inputs(parts.sae, 128).length.sum()) == 181_808
    held = cases.leave_last_out(parts.test, 128)
    assert len(held) == 604 and torch.equal(held.cases.history, cases.inputs(parts.test, 128).history)
    assert int((held.seen >= 0).sum()) == len(parts.test) - 604
    assert np.unique(held.target).size > 200


@given(histories=HISTORIES, seed=st.integers(0, 99))
def test_hidden_items_are_found_among_those_not_taken(histories, seed):
    rng = np.random.default_rng(seed)
    hidden = [rng.permutation(9 + np.arange(4))[: rng.integers(0, 4)].tolist() for _ in histories]
    users = [u for u, h in enumerate(hidden) if h]
    if not users:
        return
    train, test = interactions(histories, 13), interactions(hidden, 13)
    sets, read = cases.hidden_sets(train, test), cases.hidden_sets(train, test, histories=True)
    assert sets.cases.user.tolist() == users and sets.cases.length.tolist() == [0] * len(users)
    assert unpad(sets.target) == [hidden[u] for u in users] and unpad(sets.seen) == [histories[u] for u in users]
    assert unpad(read.cases.history) == [histories[u] for u in users] and torch.equal(read.target, sets.target)
    chosen = cases.hidden_sets(train, test, np.array(users[::-1]))
    assert chosen.cases.user.tolist() == users[::-1] and unpad(chosen.target) == unpad(sets.target)[::-1]
    assert len(chosen[1:]) == len(users) - 1
    pairs = cases.pairs_of(train)
    assert list(zip(pairs.user.tolist(), pairs.history[:, 0].tolist(), strict=True)) == [
        (u, i) for u, h in enumerate(histories) for i in h
    ]


def test_one_hidden_item_a_user_is_a_holdout():
    train, valid = interactions([[1, 2], [3], [4, 5]], 9), interactions([[7], [], [8]], 9)
    held = cases.leave_hidden_out(train, valid)
    assert held.cases.user.tolist() == [0, 2] and held.target.tolist() == [7, 8]
    assert unpad(held.seen) == [[1, 2], [4, 5]]
    with pytest.raises(ValueError, match="2 items are hidden from a user: expected one"):
        cases.leave_hidden_out(train, interactions([[7, 8], [], [8]], 9))
    with pytest.raises(ValueError, match=r"nothing is hidden from user 1 \(1 such users\)"):
        cases.hidden_sets(train, valid, np.array([0, 1]))
    with pytest.raises(ValueError, match="train has 3 users and 9 items, hidden 3 users and 8 items"):
        cases.hidden_sets(train, interactions([[7], [], []], 8))
