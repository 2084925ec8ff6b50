import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from recsae_core.recommenders.cases import Holdout, Sets, from_lists, pad
from recsae_core.recommenders.ranking import evaluate, evaluate_sets
from recsae_core.recommenders.transformer import Transformer, TransformerConfig

N_ITEMS = 40


def holdout(n, seed=0, seen=6):
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(N_ITEMS)[: rng.integers(1, seen + 1) + 1] for _ in range(n)]
    return Holdout(
        from_lists([r[:-1].tolist() for r in rows]),
        torch.tensor([int(r[-1]) for r in rows]),
        pad([r[:-1] for r in rows]),
    )


def table(scores):
    """A scorer that returns the next rows of a table, however it is batched."""
    at = 0

    def score(cases):
        nonlocal at
        at += len(cases)
        return scores[at - len(cases) : at].clone()

    return score


def naive(scores, held, k):
    """NDCG, HR, MRR, precision of each case and the coverage, in plain Python."""
    out, shown = [], set()
    for row, target, seen in zip(scores.tolist(), held.target.tolist(), held.seen.tolist(), strict=True):
        unseen = [i for i in range(len(row)) if i not in seen]
        order = sorted(unseen, key=lambda i: (-row[i], i == target))  # the target loses every tie
        shown |= set(order[:k])
        rank = order.index(target) + 1
        hit = rank <= k
        out.append([hit / math.log2(rank + 1), hit, hit / rank, hit / k])
    return np.array(out).T, len(shown) / len(scores[0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, N_ITEMS), batch=st.integers(1, 30))
def test_metrics_equal_plain_python(seed, k, batch):
    held = holdout(23, seed)
    scores = torch.randn(23, N_ITEMS, generator=torch.Generator().manual_seed(seed))
    ranking = evaluate(table(scores), held, ks=(k,), batch=batch)
    expected, coverage = naive(scores, held, k)
    for name, values in zip(("ndcg", "hr", "mrr", "precision"), expected, strict=True):
        np.testing.assert_allclose(ranking[f"{name}@{k}"], values)
    np.testing.assert_allclose(ranking[f"recall@{k}"], ranking[f"hr@{k}"])
    assert ranking.coverage(k) == pytest.approx(coverage)
    assert ranking.mean()[f"ndcg@{k}"] == pytest.approx(expected[0].mean())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), levels=st.integers(1, 5))
def test_with_ties_the_target_stands_last_among_equals(seed, levels):
    held = holdout(15, seed)
    scores = torch.randint(0, levels, (15, N_ITEMS), generator=torch.Generator().manual_seed(seed)).float()
    ranking = evaluate(table(scores), held)
    for k in (5, 10, 20):
        np.testing.assert_allclose(ranking[f"ndcg@{k}"], naive(scores, held, k)[0][0])


def test_ndcg_equals_scikit_learn():
    held = holdout(50)
    scores = torch.rand(50, N_ITEMS, generator=torch.Generator().manual_seed(3))
    masked = scores.clone().scatter_(1, held.seen.clamp(min=0), -1.0)  # a padded 0 is masked below, too
    real = held.seen >= 0
    for row, keep in enumerate(~((held.seen == 0) & real).any(1)):
        if keep:
            masked[row, 0] = scores[row, 0]
    truth = torch.nn.functional.one_hot(held.target, N_ITEMS)
    for k in (5, 10, 20):
        ours = evaluate(table(scores), held, ks=(k,))[f"ndcg@{k}"].mean()
        assert ours == pytest.approx(ndcg_score(truth.numpy(), masked.numpy(), k=k))


def test_a_scorer_that_cannot_tell_items_apart_finds_nothing():
    held = holdout(30)
    mean = evaluate(lambda cases: torch.zeros(len(cases), N_ITEMS), held, ks=(5, 10)).mean()
    assert all(value == 0 for name, value in mean.items() if not name.startswith("coverage"))


def test_the_top_list_is_sorted_and_shows_nothing_seen():
    held = holdout(20)
    scores = torch.randn(20, N_ITEMS, generator=torch.Generator().manual_seed(1))
    ranking = evaluate(table(scores), held, ks=(N_ITEMS + 5,))
    for row, (top, seen) in enumerate(zip(ranking.top, held.seen, strict=True)):
        shown = top[top >= 0]
        seen = seen[seen >= 0]
        assert len(top) == N_ITEMS + 5 and len(shown) == N_ITEMS - len(seen)
        assert set(shown) == set(range(N_ITEMS)) - set(seen.tolist())
        assert (np.diff(scores[row].numpy()[shown]) <= 0).all()
        assert shown[ranking.rank[row] - 1] == held.target[row]


def test_a_target_seen_before_stands_last():
    held = Holdout(from_lists([[3, 4]]), torch.tensor([3]), torch.tensor([[3, 4]]))
    scores = torch.zeros(1, N_ITEMS)
    scores[0, 3] = 9
    assert evaluate(table(scores), held).rank.tolist() == [N_ITEMS]


def test_nan_is_refused_and_minus_infinity_is_not():
    held = holdout(4)
    scores = torch.rand(4, N_ITEMS)
    scores[2, 7] = math.nan
    with pytest.raises(ValueError, match="1 of 160 scores are NaN"):
        evaluate(table(scores), held)
    scores = torch.full((4, N_ITEMS), -math.inf)
    scores[torch.arange(4), held.target] = 0.0
    assert evaluate(table(scores), held).rank.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(3, N_ITEMS), (4, 5)])
def test_scores_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected 4 rows and a column for every item"):
        evaluate(lambda cases: torch.rand(shape), holdout(4))


def test_unknown_metrics_and_ks_are_refused():
    ranking = evaluate(table(torch.rand(4, N_ITEMS)), holdout(4))
    for name in ("map@10", "ndcg", "ndcg@0", "ndcg@x"):
        with pytest.raises(ValueError, match="metric"):
            ranking[name]
    with pytest.raises(ValueError, match="k=51"):
        ranking.coverage(51)
    with pytest.raises(ValueError, match="at least 1"):
        evaluate(table(torch.rand(4, N_ITEMS)), holdout(4), ks=(0,))


def test_a_model_is_ranked_without_dropout_and_left_in_its_mode():
    model = Transformer(TransformerConfig(N_ITEMS, d=8, length=8, dropout=0.9)).train()
    first, second = (evaluate(model, holdout(30)).rank for _ in range(2))
    assert model.training and np.array_equal(first, second)


def hidden(n, seed=0, targets=5):
    rng = np.random.default_rng(seed)
    rows = [np.split(rng.permutation(N_ITEMS)[: t + rng.integers(1, 7)], [t]) for t in rng.integers(1, targets + 1, n)]
    return Sets(from_lists([seen.tolist() for _, seen in rows]), pad([t for t, _ in rows]), pad([s for _, s in rows]))


def naive_sets(scores, sets, k):
    """NDCG, HR, recall and MRR at k, and the percentile, of each case in plain Python."""
    out = []
    for row, *items in zip(scores.tolist(), sets.target.tolist(), sets.seen.tolist(), strict=True):
        targets, seen = ({i for i in some if i >= 0} for some in items)
        order = sorted((i for i in range(len(row)) if i not in seen), key=lambda i: (-row[i], i in targets))
        ranks = [place for place, item in enumerate(order, 1) if item in targets]
        hits = [r for r in ranks if r <= k]
        ideal = sum(1 / math.log2(r + 1) for r in range(1, min(k, len(ranks)) + 1))
        ndcg = sum(1 / math.log2(r + 1) for r in hits) / ideal
        percentile = np.mean([(r - 1) / (len(order) - 1) for r in ranks])
        out.append([ndcg, bool(hits), len(hits) / len(ranks), 1 / hits[0] if hits else 0, percentile])
    return np.array(out).T


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000), k=st.integers(1, N_ITEMS), batch=st.integers(1, 30), levels=st.sampled_from([2, 5, 0])
)
def test_metrics_of_sets_equal_plain_python_also_with_ties(seed, k, batch, levels):
    sets, g = hidden(23, seed), torch.Generator().manual_seed(seed)
    scores = (
        torch.randint(levels, (23, N_ITEMS), generator=g).float() if levels else torch.randn(23, N_ITEMS, generator=g)
    )
    ranking = evaluate_sets(table(scores), sets, ks=(k,), batch=batch)
    names = [f"ndcg@{k}", f"hr@{k}", f"recall@{k}", f"mrr@{k}", "percentile"]
    for name, values in zip(names, naive_sets(scores, sets, k), strict=True):
        np.testing.assert_allclose(ranking[name], values, err_msg=name)
        assert ranking.mean()[name] == pytest.approx(values.mean())


def test_ndcg_of_sets_equals_scikit_learn():
    sets = hidden(50)
    scores = torch.rand(50, N_ITEMS, generator=torch.Generator().manual_seed(3))
    masked, relevant = scores.clone().numpy(), np.zeros((50, N_ITEMS))
    for row, (target, seen) in enumerate(zip(sets.target.tolist(), sets.seen.tolist(), strict=True)):
        masked[row, [i for i in seen if i >= 0]] = -1.0
        relevant[row, [i for i in target if i >= 0]] = 1.0
    for k in (3, 10):
        values = evaluate_sets(table(scores), sets, ks=(k,))[f"ndcg@{k}"]
        assert values.mean() == pytest.approx(ndcg_score(relevant, masked, k=k))


def test_one_target_a_case_ranks_as_in_a_holdout():
    held, scores = holdout(40), torch.randint(9, (40, N_ITEMS), generator=torch.Generator().manual_seed(1)).float()
    sets = Sets(held.cases, held.target[:, None], held.seen)
    one, many = evaluate(table(scores), held), evaluate_sets(table(scores), sets)
    np.testing.assert_array_equal(one.rank, many.rank[:, 0])
    for name in ("ndcg@10", "hr@5", "recall@5", "mrr@20"):
        np.testing.assert_allclose(one[name], many[name])


def test_percentiles_of_the_best_the_worst_and_of_chance():
    sets, g = hidden(2000, targets=1), torch.Generator().manual_seed(0)
    best = torch.zeros(2000, N_ITEMS).scatter_(1, sets.target, 1.0)
    for scores, expected in ((best, 0), (-best, 1), (torch.rand(2000, N_ITEMS, generator=g), 0.5)):
        assert evaluate_sets(table(scores), sets)["percentile"].mean() == pytest.approx(expected, abs=0.03)


def test_sets_that_cannot_be_ranked_are_refused():
    sets = hidden(4)
    scores = torch.zeros(4, N_ITEMS)
    with pytest.raises(ValueError, match="0 cases, ks="):
        evaluate_sets(table(scores), sets[:0])
    with pytest.raises(ValueError, match="target is among the items that its user has seen"):
        evaluate_sets(table(scores), Sets(sets.cases, sets.target, sets.target))
    for name in ("coverage@3", "ndcg", "ndcg@0", "percentile@5"):
        with pytest.raises(ValueError, match=f"metric '{name}': expected percentile, or ndcg"):
            evaluate_sets(table(scores), sets)[name]
