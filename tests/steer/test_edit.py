import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recsae_core.interpret import dictionaries as di
from recsae_core.recommenders.base import Cases, Recommender, Split
from recsae_core.recommenders.cases import from_lists
from recsae_core.recommenders.transformer import Transformer, TransformerConfig
from recsae_core.sae.autoencoder import SAE, SAEConfig
from recsae_core.steer.edit import MASS, RULES, coded, edit, units

CASES = from_lists([[0, 1, 2], [3], [4, 5, 6, 7, 8], [9, 3]])
NEUTRAL = {"add": 0, "scale": 1, "sigma": 0, MASS: 0}


class Bag(Recommender):
    """Scores items by the mean of the embeddings seen, each row through a tanh."""

    n_items, sites = 10, {"row": 6}

    def __init__(self) -> None:
        super().__init__()
        self.E = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))

    def forward(self, cases, items=None):
        E = self.E if items is None else self.E[items]
        return torch.stack([torch.tanh(self.E[h[h >= 0]]).mean(0) for h in cases.history]) @ E.T

    def before(self, site, cases, items=None):
        real = cases.history >= 0
        case, position = real.nonzero(as_tuple=True)
        last = position == real.sum(1)[case] - 1
        E = self.E if items is None else self.E[items]

        def finish(h):
            total = h.new_zeros(len(cases), 6).index_add(0, case, torch.tanh(h))
            return total / real.sum(1, keepdim=True) @ E.T

        return Split(self.E[cases.history[real]], case, cases.history[real], last, finish)


def transformer() -> Transformer:
    return Transformer(TransformerConfig(10, d=6, layers=2, heads=2, length=4), torch.Generator().manual_seed(0)).eval()


MODELS = {"bag": (Bag(), "row"), **{f"transformer {s}": (transformer(), s) for s in ("block0", "block1", "final")}}


def dictionary(split: Split):
    g = torch.Generator().manual_seed(1)
    return di.random_relu(torch.cat([split.h, torch.randn(200, 6, generator=g) * split.h.std()]), 16, 5, g)


@pytest.fixture(params=MODELS)
def split(request) -> Split:
    model, site = MODELS[request.param]
    return model.before(site, CASES)


SAES = {"relu": {}, "topk": {"sparsifier": "topk", "k": 3}, "scaled": {"tied": True, "standardize": "per_dimension"}}


def unit(rule: str, m: int):
    """The unit that the rule cannot do without."""
    return torch.linspace(0.5, 2.0, m) if rule == "sigma" else None


@pytest.mark.parametrize("rule", NEUTRAL)
@pytest.mark.parametrize("kind", SAES)
def test_strength_zero_through_an_sae_returns_bit_equal_scores(split, rule, kind):
    sae = SAE(SAEConfig(d=6, m=16, **SAES[kind]), torch.Generator().manual_seed(0)).prepare(split.h)
    h = edit(split, sae, [0, 5, 9], rule, NEUTRAL[rule], unit=unit(rule, 16))
    assert torch.equal(h, split.h) and not h.requires_grad
    assert torch.equal(split.finish(h), split.finish(split.h))
    assert not torch.equal(edit(split, sae, [0, 5, 9], "add", 0.5), split.h)


@pytest.mark.parametrize("rule", NEUTRAL)
@pytest.mark.parametrize("where", ["last", "all"])
def test_strength_zero_returns_bit_equal_scores(split, rule, where):
    rows = None if where == "last" else torch.ones(len(split.h), dtype=torch.bool)
    h = edit(split, dictionary(split), list(range(16)), rule, NEUTRAL[rule], unit=unit(rule, 16), rows=rows)
    assert torch.equal(h, split.h)
    assert torch.equal(split.finish(h), split.finish(split.h))


@pytest.mark.parametrize("keep_error", [True, False])
def test_rows_that_are_not_edited_are_returned_bit_for_bit(split, keep_error):
    h = edit(split, dictionary(split), [3, 4], "set", 5.0, keep_error=keep_error)
    assert torch.equal(h[~split.last], split.h[~split.last])
    assert (h[split.last] != split.h[split.last]).any(1).all()
    assert not torch.equal(split.finish(h), split.finish(split.h))


@pytest.mark.parametrize("rule", [*RULES, MASS])
def test_an_edit_moves_a_row_by_what_the_decoder_says(split, rule):
    dic, dose, latents = dictionary(split), 0.75, [2, 7]
    z, scale = dic.encode(split.h).dense(), unit(rule, 16)
    new = z / 4 if rule == MASS else z.clone()
    by_hand = {
        "set": lambda j: 0.75,
        "add": lambda j: z[:, j] + 0.75,
        "scale": lambda j: z[:, j] * 0.75,
        "sigma": lambda j: z[:, j] + 0.75 * scale[j],
        MASS: lambda j: z[:, j] / 4 + 0.75 * z.sum(1) / 2,
    }
    for j in latents:
        new[:, j] = by_hand[rule](j)
    moved = split.h + (new - z) @ dic.W_dec
    expected = torch.where(split.last[:, None], moved, split.h)
    torch.testing.assert_close(edit(split, dic, latents, rule, dose, unit=scale), expected, atol=1e-5, rtol=1e-5)
    dropped = torch.where(split.last[:, None], new @ dic.W_dec + dic.offset, split.h)
    without = edit(split, dic, latents, rule, dose, unit=scale, keep_error=False)
    torch.testing.assert_close(without, dropped, atol=1e-5, rtol=1e-5)


def test_mass_preserving_keeps_the_mass(split):
    dic = dictionary(split)
    seen = []

    class Watched:
        d, m, encode = dic.d, dic.m, staticmethod(dic.encode)

        @staticmethod
        def decode(z, prefix=None):
            seen.append(z.dense())
            return dic.decode(z, prefix)

    edit(split, Watched, [1, 2, 3], MASS, 0.3)
    old, new = seen
    torch.testing.assert_close(new.sum(1), old.sum(1))
    torch.testing.assert_close(new[:, 4:], 0.7 * old[:, 4:])


def test_each_row_can_have_its_own_dose(split):
    dic, dose = dictionary(split), torch.tensor([0.0, 1.0, -2.0, 3.0])
    together = edit(split, dic, [4], "add", dose)
    for case, one in enumerate(dose.tolist()):
        mine = split.last & (split.case == case)
        torch.testing.assert_close(together[mine], edit(split, dic, [4], "add", one)[mine])


def test_a_code_made_before_gives_the_same_edit(split):
    dic = dictionary(split)
    code = coded(split, dic)
    for dose in (0.0, 1.0, 4.0):
        assert torch.equal(edit(split, dic, [4], "add", dose, code=code), edit(split, dic, [4], "add", dose))


def test_units_are_those_of_numpy():
    x = torch.randn(3000, 6, generator=torch.Generator().manual_seed(2))
    dic = di.random_relu(x, 16, 5, torch.Generator().manual_seed(3))
    z = dic.encode(x).dense().numpy()
    found = units(dic, x)
    np.testing.assert_allclose(found.sigma, z.std(0, ddof=1), rtol=1e-4)
    for j in range(16):
        active = z[z[:, j] > 0, j]
        low, high = np.quantile(active, [0.985, 0.995])
        assert low <= found.top[j] <= high


def test_a_latent_that_never_fires_has_no_step():
    sae = SAE(SAEConfig(d=6, m=4), torch.Generator().manual_seed(0)).prepare(torch.randn(50, 6))
    sae.b_enc.data[2] = -100
    found = units(sae, torch.randn(50, 6))
    assert found.top[2] == 0 and found.sigma[2] == 0 and (found.top[[0, 1, 3]] > 0).all()


def test_an_edit_of_one_case_leaves_the_scores_of_the_others(split):
    rows = split.last & (split.case == 2)
    scores = split.finish(edit(split, dictionary(split), [1], "add", 3.0, rows=rows))
    before = split.finish(split.h)
    torch.testing.assert_close(scores[[0, 1, 3]], before[[0, 1, 3]])
    assert (scores[2] - before[2]).abs().max() > 1e-4


def test_a_neuron_that_is_pushed_pushes_its_dimension():
    split = MODELS["bag"][0].before("row", CASES)
    moved = edit(split, di.neurons(split.h), [2], "add", 4.0) - split.h
    assert torch.allclose(moved[split.last], 2 * F.one_hot(torch.tensor(2), 6).float(), atol=1e-6)


def test_a_rule_can_be_a_function_and_gradients_flow(split):
    h = split.h.clone().requires_grad_()
    out = edit(split.replaced(h), dictionary(split), [0, 1], lambda z, dose: z.clamp(max=0.0) - dose, 2.0)
    out.square().sum().backward()
    assert h.grad.isfinite().all() and (h.grad != 0).any()


def test_other_units_than_the_latents_named_stay(split):
    dic = dictionary(split)
    one = edit(split, dic, [4], "add", 2.0) - split.h
    two = edit(split, dic, [9], "add", 2.0) - split.h
    both = edit(split, dic, [4, 9], "add", 2.0) - split.h
    torch.testing.assert_close(both, one + two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": [16]}, r"latent 16: expected 0 <= latent < m=16"),
        ({"latents": [-1]}, r"latent -1: expected 0 <= latent < m=16"),
        ({"latents": []}, r"expected at least one latent"),
        ({"latents": [3, 3]}, r"each at most once"),
        ({"dose": float("nan")}, r"dose=nan: expected a finite number"),
        ({"dose": float("inf")}, r"dose=inf: expected a finite number"),
        ({"dose": torch.ones(3)}, r"shape \(3,\): expected one number, or 4, one for each row"),
        ({"rule": MASS, "dose": 1.5}, r"dose from 1.5 to 1.5: expected 0 to 1"),
        ({"rule": "sigma"}, r"rule 'sigma': expected unit="),
        ({"rule": "push"}, r"rule 'push': expected one of set, add, scale, sigma, mass-preserving"),
        ({"rows": torch.ones(3, dtype=torch.bool)}, r"shape \(3,\): expected a mask of shape \(11,\)"),
        ({"dictionary": di.neurons(torch.randn(5, 7))}, r"d=7: expected d=6"),
    ],
)
def test_bad_input_is_named(change, message):
    model: Recommender = MODELS["bag"][0]
    split = model.before("row", Cases(CASES.user, CASES.history))
    call = {"split": split, "dictionary": dictionary(split), "latents": [1], "rule": "set", "dose": 1.0} | change
    with pytest.raises(ValueError, match=message):
        edit(**call)
