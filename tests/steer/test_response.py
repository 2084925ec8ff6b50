import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from recsae_core.data import sources, split
from recsae_core.interpret import dictionaries as di
from recsae_core.recommenders import activations, cases, ranking
from recsae_core.recommenders.transformer import Transformer, TransformerConfig
from recsae_core.steer import calibrate, methods, response
from recsae_core.steer.edit import MASS, edit, units

LENGTH = 12


@pytest.fixture(scope="module")
def world():
    """A small world, an untrained transformer over it, the last lists of its newest users, and rows to fit on."""
    parts = split.seqrec(sources.load("planted", users=200, items=120, length=25, seed=1))
    config = TransformerConfig(parts.test.n_items, d=8, layers=2, heads=2, length=LENGTH)
    model = Transformer(config, torch.Generator().manual_seed(0)).eval()
    model.item.weight.data *= 30  # far from the origin, so that lists differ
    x = activations.collect(model, "block0", cases.inputs(parts.sae, LENGTH)).h
    return parts, model, cases.tails(parts.test, LENGTH - 1, 4), x


def genre(parts, a: int = 0) -> torch.Tensor:
    return torch.from_numpy(parts.test.attributes[:, a])


def every_method(parts, model, x) -> dict[str, methods.Method]:
    dictionary = di.random_relu(x, 24, 6, torch.Generator().manual_seed(0))
    top = units(dictionary, x).top
    return {
        "latents": methods.Latents(dictionary, [1, 2], "add", top),
        "mass": methods.Latents(dictionary, [1], MASS),
        "direction": methods.Direction(torch.linspace(-1, 1, 8)),
        "rerank": methods.Rerank(genre(parts)),
        "history": methods.History(genre(parts)),
    }


@pytest.fixture(scope="module")
def responses(world):
    parts, model, tails, x = world
    found = every_method(parts, model, x)
    doses = {name: [0, 0.5, 1.0] for name in found}
    return response.respond(model, "block0", tails, found, doses, batch=7, progress=False)


def test_no_dose_is_full_ranking(world):
    parts, model, _, _ = world
    tails = cases.tails(parts.test, LENGTH, 1)
    methods_ = {"direction": methods.Direction(torch.ones(8))}
    (found,) = response.respond(model, "block0", tails, methods_, {"direction": [0.0]}, progress=False).values()
    expected = ranking.evaluate(model, cases.leave_last_out(parts.test, LENGTH))
    np.testing.assert_array_equal(found.top[0], expected.top[:, : response.K])
    for metric in ("ndcg", "hr", "mrr"):
        np.testing.assert_allclose(found[metric][0], expected[f"{metric}@10"])
    assert found.coverage[0] == pytest.approx(expected.coverage(10))


@pytest.mark.parametrize("name", ["latents", "mass", "direction", "rerank", "history"])
def test_dose_zero_changes_no_list_and_more_changes_more(responses, name):
    found, unchanged = responses[name], responses["rerank"]
    np.testing.assert_array_equal(found.top[0], unchanged.top[0])
    differ = [(found.top[d] != found.top[0]).mean() for d in range(3)]
    assert 0 == differ[0] < differ[1] < differ[2]
    moved = found.moved
    assert np.isnan(moved).all() if name in ("rerank", "history") else moved[0] == 0 < moved[1] < moved[2]


def test_batches_do_not_matter(world, responses):
    parts, model, tails, x = world
    found = {name: m for name, m in every_method(parts, model, x).items() if name != "history"}
    again = response.respond(model, "block0", tails, found, {name: [0, 0.5, 1.0] for name in found}, progress=False)
    for name in found:
        np.testing.assert_array_equal(again[name].top, responses[name].top)
        np.testing.assert_allclose(again[name].moved, responses[name].moved, rtol=1e-5)


def test_a_dose_for_each_list_is_that_list_at_that_dose(world, responses):
    parts, model, tails, x = world
    method = every_method(parts, model, x)["latents"]
    which = torch.arange(len(tails)) % 2 == 0
    dose = torch.where(which, 0.5, 1.0)
    (found,) = response.respond(model, "block0", tails, {"m": method}, {"m": [dose]}, batch=5, progress=False).values()
    expected = np.where(which.numpy()[:, None], responses["latents"].top[1], responses["latents"].top[2])
    np.testing.assert_array_equal(found.top[0], expected)
    assert found.doses[0] == pytest.approx(float(dose.mean()))


def test_a_method_sees_no_item_that_the_user_has_taken(world, responses):
    _, _, tails, _ = world
    for found in responses.values():
        for top in found.top:
            assert not tails.seen.numpy()[np.arange(len(top))[:, None], top].any()


def test_metrics_are_those_of_a_count_by_hand(world, responses):
    parts, _, tails, _ = world
    found, attributes = responses["latents"], parts.test.attributes
    for d, n in ((0, 0), (2, 5), (1, 17)):
        listed = [attributes[i] for i in found.top[d, n]]
        np.testing.assert_allclose(found.share(attributes)[d, n], np.mean(listed, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(found.share(attributes)[..., 1], found.share(attributes[:, 1]))
    targets = tails.target.tolist()
    at = np.array(
        [[list(t).index(y) + 1 if y in t else 0 for t, y in zip(top, targets, strict=True)] for top in found.top]
    )
    np.testing.assert_array_equal(found.place, at)
    last = np.flatnonzero(np.append(np.diff(found.case) != 0, True))
    shown = np.zeros((len(last), found.n_items))
    shown[np.arange(len(last))[:, None], found.top[1, last]] = 1
    assert found.diversity[1] == pytest.approx(pdist(shown, "cosine").mean())
    assert found.coverage[1] == len(set(found.top[1].ravel().tolist())) / found.n_items


def test_a_large_bonus_fills_the_list(world):
    parts, model, tails, _ = world
    items = genre(parts)
    method = {"rerank": methods.Rerank(items)}
    (found,) = response.respond(model, "block0", tails, method, {"rerank": [1e6]}, progress=False).values()
    left = (items & ~tails.seen).sum(1).clamp(max=response.K) / response.K
    np.testing.assert_allclose(found.share(items.numpy())[0], left)


def test_history_is_the_forward_pass_over_the_longer_history(world, responses):
    parts, model, tails, _ = world
    items, top = genre(parts), responses["history"].top
    rows = [r for r in range(len(tails)) if tails.case[r] < 3]
    for r in rows:
        later = [s for s in range(r + 1, len(tails)) if tails.case[s] == tails.case[r]]
        whole = tails.cases.history[tails.case[r]]
        prefix = whole[: int((whole >= 0).sum()) - len(later)]
        scores = model(cases.from_lists([prefix.tolist()]))[0].detach()
        item = scores.masked_fill(~(items & ~tails.seen[r]), -torch.inf).argmax()
        new = (
            model(cases.from_lists([[*prefix.tolist(), int(item)]]))[0].detach().masked_fill(tails.seen[r], -torch.inf)
        )
        assert new.topk(10).indices.tolist() == top[2, r].tolist()
    half = (top[1] != top[0]).any(1)
    assert (top[1][half] == top[2][half]).all() and 0.3 < half.mean() / (top[2] != top[0]).any(1).mean() < 0.7


def test_everywhere_is_the_forward_pass_with_all_rows_changed(world):
    parts, model, tails, x = world
    inner = every_method(parts, model, x)["latents"]
    methods_ = {"all": methods.Everywhere(inner), "last": inner}
    found = response.respond(model, "block0", tails, methods_, {"all": [0, 0.5], "last": [0, 0.5]}, progress=False)
    np.testing.assert_array_equal(found["all"].top[0], found["last"].top[0])
    assert (found["all"].top[1] != found["last"].top[1]).any()
    for r in range(6):
        later = int((tails.case[r + 1 :] == tails.case[r]).sum())
        prefix = tails.cases.history[tails.case[r]]
        split_ = model.before("block0", cases.from_lists([prefix[: int((prefix >= 0).sum()) - later].tolist()]))
        every = torch.ones(len(split_.h), dtype=torch.bool)
        h = edit(split_, inner.dictionary, inner.latents, "add", 0.5, unit=inner.unit, rows=every)
        top = split_.finish(h)[0].masked_fill(tails.seen[r], -torch.inf).topk(10).indices
        assert top.tolist() == found["all"].top[1, r].tolist()


def test_means_of_users_count_every_user_once():
    values, case = np.array([[1.0, 3.0, 10.0, 20.0, 30.0]]), np.array([0, 0, 4, 4, 4])
    np.testing.assert_allclose(response.by_user(values, case), [[2.0, 20.0]])


def test_at_share_reads_between_the_doses():
    share = np.array([[0.1, 0.1], [0.2, 0.4], [0.5, 0.9]])
    ndcg = np.array([[1.0, 1.0], [0.8, 0.8], [0.2, 0.0]])
    weight = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(response.at_share(share, ndcg, 2.0, weight), [0.9, 0.8, 1 - 0.2 / 3], rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(response.at_share(share, ndcg, 8.0, weight)), [True, True, False])
    np.testing.assert_allclose(response.at_share(share, ndcg, 1.0, weight), 1.0)
    whole = np.array([[0.5, 0.5], [1.0, 1.0]])
    np.testing.assert_allclose(response.at_share(whole, ndcg[:2], 3.0, weight), 0.8)  # more than all cannot be asked


def test_difference_of_means_is_numpys():
    h, on = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3 == 0
    expected = h.numpy()[on.numpy()].mean(0) - h.numpy()[~on.numpy()].mean(0)
    np.testing.assert_allclose(methods.difference_of_means(h, on), expected, atol=1e-6)


@pytest.mark.parametrize(("wanted", "sign"), [(0.35, 1), (0.93, 1), (0.05, -1), (0.2, 0)])
def test_solve_finds_the_dose_of_a_known_curve(wanted, sign):
    found = calibrate.solve(lambda dose: 1 / (1 + 4 * np.exp(-dose)), wanted, start=0.3)
    exact = np.log(4 * wanted / (1 - wanted))
    assert found.reached and found.dose == pytest.approx(exact, rel=0.02, abs=1e-6) and np.sign(found.dose) == sign


def test_solve_leaves_alone_what_is_as_it_is_wanted():
    assert calibrate.solve(lambda dose: 0.5 + dose, 0.5, start=0.1) == (0.0, 0.5, True)


def test_solve_says_what_cannot_be_reached():
    found = calibrate.solve(lambda dose: 0.2 + 0.3 * dose - 0.1 * dose**2, 0.9, start=0.5)  # .425 at most
    assert not found.reached and found.share <= 0.425 and found.share >= 0.4
    limited = calibrate.solve(lambda dose: 0.1 * dose, 0.9, start=0.5, limit=3.0)
    assert limited == (3.0, pytest.approx(0.3), False)


def test_a_calibrated_dose_gives_the_share(world):
    parts, model, tails, _ = world
    items, found = genre(parts), calibrate.Calibrator(model, "block0", tails, batch=9)
    for method in (methods.Rerank(items), methods.Direction(model.item.weight[items].mean(0).detach())):
        base = found.share(method, items, 0.0)
        solved = found.dose(method, items, min(1.5 * base, 1), start=0.1, doublings=12)
        assert solved.reached and solved.share == pytest.approx(1.5 * base, rel=0.05)
        assert found.share(method, items, solved.dose) == solved.share
        again = response.respond(model, "block0", tails, {"m": method}, {"m": [solved.dose]}, progress=False)["m"]
        assert response.by_user(again.share(items.numpy()), again.case).mean() == pytest.approx(solved.share)


def test_each_list_gets_the_share_asked_for_where_there_is_a_dose(world):
    parts, model, tails, _ = world
    items, method = genre(parts), methods.Rerank(genre(parts))
    for rows, lists in response.batches(model, "block0", tails, 16):
        for wanted in (0.0, 0.3, 0.5):
            dose = calibrate.dose_of_each_list(method, lists, items, wanted, -1e4, 1e4, steps=40)
            top, _ = response.ranked(method(lists, dose), lists.seen, tails.target[rows])
            most = (items & ~lists.seen).sum(1).clamp(max=10) / 10
            reachable = most >= wanted
            torch.testing.assert_close(items[top].float().mean(1)[reachable], torch.full_like(most, wanted)[reachable])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda w: methods.Direction(torch.ones(5))(next(response.batches(w[1], "block0", w[2]))[1], 1.0),
            r"shape \(5,\)",
        ),
        (lambda w: at_dose(w, methods.Direction(torch.ones(8)), float("nan")), r"dose=nan: expected a finite number"),
        (lambda w: at_dose(w, methods.Rerank(genre(w[0])), float("inf")), r"dose=inf: expected a finite number"),
        (lambda w: at_dose(w, methods.Rerank(torch.ones(3, dtype=torch.bool)), 1.0), r"items has 3 entries: expected"),
        (lambda w: methods.difference_of_means(w[3], torch.zeros(len(w[3]), dtype=torch.bool)), r"0 of \d+ rows have"),
        (
            lambda w: calibrate.solve(lambda d: d, 2.0, 1.0, 1.0) and calibrate._check(2.0),
            r"share 2.0: expected 0 to 1",
        ),
        (
            lambda w: response.respond(w[1], "block0", w[2], {"a": methods.Rerank(genre(w[0]))}, {"a": []}),
            r"doses of a: expected some for each of a",
        ),
        (lambda w: response.respond(w[1], "block9", w[2], {}, {}), r"site 'block9'"),
        (
            lambda w: at_dose(w, methods.History(genre(w[0])), 1.5),
            r"dose=1.5: expected 0",
        ),
    ],
)
def test_bad_input_is_named(world, call, message):
    with pytest.raises(ValueError, match=message):
        call(world)


def at_dose(world, method, dose):
    _, model, tails, _ = world
    _, lists = next(response.batches(model, "block0", tails))
    return method(lists, dose)


def test_an_unknown_metric_is_named(responses):
    with pytest.raises(ValueError, match="metric 'auc': expected one of ndcg, hr, mrr"):
        responses["rerank"]["auc"]
