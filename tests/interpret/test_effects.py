import numpy as np
import pytest
import torch

from recsae_core.interpret import dictionaries, effects
from recsae_core.recommenders import Transformer, TransformerConfig, cases
from recsae_core.sae.autoencoder import SAE, SAEConfig

D, ITEMS, M = 8, 30, 12


@pytest.fixture(scope="module")
def model():
    return Transformer(TransformerConfig(ITEMS, d=D, layers=2, heads=2, length=6), torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def asked():
    rng = np.random.default_rng(0)
    return cases.from_lists([rng.integers(0, ITEMS, 1 + n % 7).tolist() for n in range(20)])


@pytest.fixture(scope="module")
def attributes():
    return np.random.default_rng(1).random((ITEMS, 3)) < 0.4


def sae(x, **config) -> SAE:
    return SAE(SAEConfig(d=D, m=M, **config), torch.Generator().manual_seed(3)).prepare(x).eval()


def contrast(scores, attributes):
    return [scores[attributes[:, a]].mean() - scores[~attributes[:, a]].mean() for a in range(attributes.shape[1])]


@pytest.mark.parametrize("standardize", ["none", "scalar", "per_dimension"])
def test_directions_are_what_one_unit_adds(standardize):
    x = 3 * torch.randn(200, D, generator=torch.Generator().manual_seed(0)) + 1
    found = sae(x, standardize=standardize)
    torch.testing.assert_close(effects.directions(found), found.W_dec.detach() * found.scale, atol=1e-5, rtol=1e-5)
    rows = dictionaries.neurons(x)
    torch.testing.assert_close(effects.directions(rows), rows.W_dec)


def test_directions_of_a_sparse_code_are_its_decoder():
    found = sae(torch.randn(200, D, generator=torch.Generator().manual_seed(0)), sparsifier="topk", k=2)
    torch.testing.assert_close(effects.directions(found), found.W_dec.detach(), atol=1e-5, rtol=1e-5)


def test_the_direct_effect_is_a_contrast_of_means(model, attributes):
    W = torch.randn(M, D, generator=torch.Generator().manual_seed(2))
    found = effects.direct_effect(W, model.item.weight, attributes)
    scores = (W @ model.item.weight.detach().T).double().numpy()
    np.testing.assert_allclose(found, [contrast(row, attributes) for row in scores], atol=1e-6)


def test_behind_the_last_norm_the_true_effect_is_the_direct_one_times_the_dose(model, asked, attributes):
    split = model.before("final", asked)
    found, dose = sae(split.h), np.linspace(-2, 3, M)
    true = effects.true_effect(split, found, range(M), dose, attributes)
    direct = effects.direct_effect(effects.directions(found), model.item.weight, attributes)
    np.testing.assert_allclose(true, direct * dose[:, None], atol=1e-6)


def test_through_a_block_it_is_the_change_of_the_scores(model, asked, attributes):
    split = model.before("block0", asked)
    found = sae(split.h, sparsifier="topk", k=3)
    moved = split.h.clone()
    moved[split.last] += 1.5 * found.W_dec[4].detach()
    change = (split.finish(moved) - split.finish(split.h)).double().mean(0).detach().numpy()
    true = effects.true_effect(split, found, [4], np.array([1.5]), attributes)
    np.testing.assert_allclose(true[0], contrast(change, attributes), atol=1e-6)


def test_no_dose_no_effect_and_an_attribute_without_variation_is_undefined(model, asked, attributes):
    split = model.before("block0", asked)
    attributes = np.column_stack([attributes, np.ones(ITEMS, bool)])
    found = effects.true_effect(split, sae(split.h), [0, 5], np.zeros(2), attributes)
    assert (found[:, :3] == 0).all() and np.isnan(found[:, 3]).all()


def test_bad_input_is_named(model, asked, attributes):
    split = model.before("block0", asked)
    found = sae(split.h)
    with pytest.raises(ValueError, match="latent 12: expected 0 <= latent < m=12"):
        effects.true_effect(split, found, [12], np.ones(1), attributes)
    with pytest.raises(ValueError, match="dose has 1 values: expected 2 finite ones"):
        effects.true_effect(split, found, [0, 1], np.ones(1), attributes)
    with pytest.raises(ValueError, match="dose has 1 values: expected 1 finite"):
        effects.true_effect(split, found, [0], np.full(1, np.nan), attributes)
    with pytest.raises(ValueError, match="attributes has 29 rows: expected 30"):
        effects.true_effect(split, found, [0], np.ones(1), attributes[1:])
