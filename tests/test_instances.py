import numpy as np
import pytest
import torch

from recsae_book.instances import instances
from recsae_core import recommenders
from recsae_core.data import planted, split
from recsae_core.recommenders import cases
from recsae_core.recommenders.base import Cases


@pytest.fixture(scope="module")
def parts():
    return split.last_two(planted.generate(planted.World(users=40, items=100, length=12))[0])


def model_of(kind, parts):
    sizes = {"n_items": parts.train.n_items, "d": 8}
    if kind == "bprmf":
        sizes["n_users"] = parts.train.n_users
    return recommenders.build(kind, generator=torch.Generator().manual_seed(0), **sizes).eval()


def test_a_model_that_reads_users_has_one_case_of_each_and_recommends_what_is_new(parts):
    model = model_of("bprmf", parts)
    found = instances(model, parts, parts.test_users, depth=3)
    assert found.user.tolist() == sorted(parts.test_users.tolist()) and found.history.shape == (len(found.user), 0)
    scores = model(cases.of_users(torch.from_numpy(found.user))).detach().numpy().copy()
    histories = parts.train.histories()
    for row, user in enumerate(found.user):
        scores[row, histories[user]] = -np.inf
        assert found.top[row].tolist() == np.argsort(-scores[row], kind="stable")[:3].tolist()
    some = found.of(found.user == found.user[1])
    assert len(some.h) == len(some.top) == 1 and torch.equal(some.h[0], found.h[1])


@pytest.mark.parametrize("positions", [None, 2])
def test_a_model_that_reads_histories_has_a_case_at_each_of_the_last_places(parts, positions):
    model, (whole, _) = model_of("sasrec-last", parts), cases.together(parts)
    users, histories = parts.sae_users[:5], whole.histories()
    found = instances(model, parts, users, positions=positions)
    ends = [(u, e) for u in users for e in range(1, len(histories[u]) + 1)]
    ends = [(u, e) for u, e in ends if positions is None or e > len(histories[u]) - positions]
    assert found.user.tolist() == [u for u, _ in ends] and len(found.h) == len(ends)
    for row, (user, end) in enumerate(ends):
        seen = histories[user][:end]
        assert found.history[row][found.history[row] >= 0].tolist() == seen[-model.config.length :].tolist()
        assert found.top[row, 0] not in seen
    case = Cases(torch.from_numpy(found.user), torch.from_numpy(found.history))
    assert torch.allclose(model.before("final", case).h, found.h, atol=1e-6)


def test_nobody_has_no_case(parts):
    with pytest.raises(ValueError, match="none of 0 users has a case"):
        instances(model_of("sasrec-last", parts), parts, np.array([], dtype=np.int64))
