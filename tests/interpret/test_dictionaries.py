import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LinearRegression, LogisticRegression

from recsae_core.interpret import dictionaries as di
from recsae_core.interpret.alignment import align, mean_max_correlation
from recsae_core.interpret.probes import held_out_probe, probe
from recsae_core.interpret.statistics import item_halves
from recsae_core.sae.autoencoder import SAE, SAEConfig
from recsae_core.sae.base import Dictionary

from .worlds import world

M, L0 = 32, 6


def fresh(x: torch.Tensor, **config) -> SAE:
    return SAE(SAEConfig(d=8, m=M, **config), torch.Generator().manual_seed(5)).prepare(x).eval()


def builders(data):
    x, g = data.h, torch.Generator().manual_seed(0)
    return {
        "neurons": lambda: di.neurons(x),
        "pca": lambda: di.pca(x),
        "ica": lambda: di.ica(x, rows=1000),
        "rotation": lambda: di.rotation(x, g),
        "nmf": lambda: di.nmf(x, 12, rows=500),
        "kmeans": lambda: di.kmeans(x, M, L0, g),
        "random_relu": lambda: di.random_relu(x, M, L0, g),
        "data_rows": lambda: di.data_rows(x, M, L0, g),
        "item_embeddings": lambda: di.item_embeddings(torch.randn(50, 8, generator=g), x, M, L0, g),
        "untrained": lambda: di.untrained(fresh(x), x, L0),
        "untrained_topk": lambda: di.untrained(fresh(x, sparsifier="topk", k=L0), x),
        "untrained_linear": lambda: di.untrained(fresh(x, init="linear"), x, L0),
        "probe": lambda: probe(x, data.item, data.attributes),
        "logistic": lambda: probe(x, data.item, data.attributes, "logistic"),
    }


NAMES = list(builders(world()))
SPARSE = ["kmeans", "random_relu", "data_rows", "item_embeddings", "untrained", "untrained_topk", "untrained_linear"]


@pytest.fixture(scope="module")
def data():
    return world(rows=4000)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_is_a_dictionary_of_rows(self, name, data):
        dictionary = builders(data)[name]()
        assert isinstance(dictionary, Dictionary)
        z = dictionary.encode(data.h[:10])
        assert z.m == dictionary.m and z.dense().shape == (10, dictionary.m) and z.value.dtype == data.h.dtype
        assert dictionary.decode(z).shape == (10, 8)

    def test_rows_do_not_depend_on_their_batch(self, name, data):
        dictionary = builders(data)[name]()
        whole = dictionary.encode(data.h[:50]).dense()
        torch.testing.assert_close(dictionary.encode(data.h[7:20]).dense(), whole[7:20], atol=1e-5, rtol=1e-5)

    def test_a_prefix_reads_the_first_latents_only(self, name, data):
        dictionary = builders(data)[name]()
        z = dictionary.encode(data.h[:10])
        value = z.dense().clone()
        value[:, 2:] = 0
        torch.testing.assert_close(dictionary.decode(z, 2), dictionary.decode(z.with_dense(value)))
        torch.testing.assert_close(dictionary.decode(z, dictionary.m), dictionary.decode(z))


@pytest.mark.parametrize("name", SPARSE)
def test_l0_is_the_one_asked_for(name, data):
    same = world(rows=4000)
    dictionary = builders(data)[name]()
    active = (dictionary.encode(same.h).dense() > 0).float().sum(1).mean()
    assert float(active) == pytest.approx(L0, rel=0.02)


@pytest.mark.parametrize("l0", [3.5, 100, 255])
def test_l0_from_a_sample_of_many_rows_holds_on_all(l0, monkeypatch):
    monkeypatch.setattr(di, "SAMPLE", 2**20)
    x = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(1))
    x *= torch.rand(20_000, 1, generator=torch.Generator().manual_seed(2)) + 0.2
    dictionary = di.random_relu(x, 256, l0, torch.Generator().manual_seed(0))
    assert float((dictionary.encode(x).dense() > 0).sum(1).float().mean()) == pytest.approx(l0, rel=0.02)


def test_neurons_pca_and_ica_decode_exactly(data):
    for dictionary in (di.neurons(data.h), di.pca(data.h), di.ica(data.h)):
        torch.testing.assert_close(dictionary.decode(dictionary.encode(data.h)), data.h, atol=1e-5, rtol=1e-5)
    assert torch.equal(di.neurons(data.h).encode(data.h).dense(), torch.cat([data.h, -data.h], 1))


def test_pca_axes_are_uncorrelated_and_ordered(data):
    z = di.pca(data.h, 4).encode(data.h).dense()[:, :4]
    covariance = torch.cov(z.T)
    off = covariance - covariance.diag().diag()
    assert off.abs().max() < 1e-3 * covariance[0, 0]
    assert (covariance.diag().diff() < 0).all()


def test_ica_finds_independent_sources_that_pca_does_not():
    source = np.random.default_rng(0).laplace(size=(8000, 8))
    x = torch.from_numpy(source @ np.random.default_rng(1).standard_normal((8, 8))).float()
    closest = lambda d: np.corrcoef(d.encode(x).dense().numpy().T, source.T)[:16, 16:].max(0).min()  # noqa: E731
    assert closest(di.ica(x)) > 0.98 > 0.9 > closest(di.pca(x))
    assert di.ica(x, 3, rows=500).m == 6


def test_a_rotation_is_an_orthogonal_basis_that_decodes_exactly_and_is_seeded(data):
    make = lambda seed: di.rotation(data.h, torch.Generator().manual_seed(seed))  # noqa: E731
    axes = make(0).W_enc[:8]
    torch.testing.assert_close(axes @ axes.T, torch.eye(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(make(0).decode(make(0).encode(data.h)), data.h, atol=1e-5, rtol=1e-5)
    assert torch.equal(make(0).W_enc, make(0).W_enc) and not torch.equal(make(0).W_enc, make(1).W_enc)


def test_nmf_finds_parts_that_only_add_and_its_code_is_the_best_mixture():
    rng = np.random.default_rng(0)
    parts = np.kron(np.eye(3), np.ones((1, 4)))  # three blocks of four columns
    x = torch.from_numpy(rng.exponential(size=(500, 3)) @ parts).float()
    found = di.nmf(x, 3)
    z = found.encode(x)
    assert (z.value >= 0).all() and torch.equal(z.value, found.encode(x).value)
    assert (found.decode(z) - x).square().sum() < 1e-3 * (x - x.mean(0)).square().sum()
    shares = F.normalize(found.W_dec, dim=1) @ F.normalize(torch.from_numpy(parts).float(), dim=1).T
    assert (shares.max(1).values > 0.99).all() and len(set(shares.argmax(1).tolist())) == 3
    below = x.min(0).values - torch.rand(12)
    torch.testing.assert_close(found.encode(below[None]).value, found.encode(x.min(0).values[None]).value)


def test_the_top_rows_of_a_cluster_are_those_nearest_to_its_centre():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3, 1, 8, generator=g) * 10 + torch.randn(3, 50, 8, generator=g)
    x = x.flatten(0, 1)
    z = di.kmeans(x, 3, 1, g).encode(x).dense()
    assert (z > 0).sum(1).float().mean() == pytest.approx(1, abs=0.02)
    for cluster in range(3):
        rows = x[cluster * 50 : (cluster + 1) * 50]
        nearest = int((rows - rows.mean(0)).norm(dim=1).argmin()) + cluster * 50
        assert nearest in z.argmax(0).tolist()


def test_axes_that_have_not_settled_are_taken_without_a_warning(recwarn):
    di.ica(torch.randn(300, 8, generator=torch.Generator().manual_seed(0)))  # Gaussian rows have no such axes
    assert not [w for w in recwarn if "converge" in str(w.message)]


def test_the_null_decoder_is_the_best_linear_one(data):
    dictionary = di.random_relu(data.h, M, L0, torch.Generator().manual_seed(0))
    z = dictionary.encode(data.h)
    theirs = LinearRegression().fit(z.dense().numpy(), data.h.numpy()).predict(z.dense().numpy())
    np.testing.assert_allclose(dictionary.decode(z).numpy(), theirs, atol=2e-3)


def test_directions_are_unit_in_standard_units_and_seeded(data):
    make = lambda seed: di.random_relu(data.h, M, L0, torch.Generator().manual_seed(seed))  # noqa: E731
    norm = make(0).W_enc.norm(dim=1)
    torch.testing.assert_close(norm, norm[:1].expand(M))
    assert torch.equal(make(0).W_enc, make(0).W_enc) and not torch.equal(make(0).W_enc, make(1).W_enc)


def test_a_data_row_fires_highest_on_its_own_direction(data):
    dictionary = di.data_rows(data.h, M, L0, torch.Generator().manual_seed(0))
    chosen = data.h[torch.randperm(len(data.h), generator=torch.Generator().manual_seed(0))[:M]] - data.h.mean(0)
    torch.testing.assert_close(F.normalize(dictionary.W_enc, dim=1), F.normalize(chosen, dim=1), atol=1e-5, rtol=1e-4)


def test_few_items_are_all_taken_and_many_are_sampled(data):
    g, embedding = torch.Generator().manual_seed(0), torch.randn(50, 8, generator=torch.Generator().manual_seed(3))
    assert di.item_embeddings(embedding, data.h, 64, L0, g).m == 50
    drawn = di.item_embeddings(embedding, data.h, 20, L0, g)
    unit, own = F.normalize(drawn.W_enc, dim=1), F.normalize(embedding - embedding.mean(0), dim=1)
    assert drawn.m == 20 and ((unit @ own.T).max(1).values > 0.9999).all()


def test_untrained_keeps_the_decoder_and_can_keep_its_own_l0(data):
    sae = fresh(data.h)
    torch.testing.assert_close(di.untrained(sae, data.h).encode(data.h).value, sae.encode(data.h).value)
    null = di.untrained(sae, data.h, L0)
    z = null.encode(data.h)
    assert torch.equal(null.decode(z), sae.decode(z))
    with pytest.raises(ValueError, match=r"l0=31: expected 0 < l0 <= 1\d"):
        di.untrained(sae, data.h, 31)


def test_probe_equals_scikit_learn(data):
    y = data.attributes[data.item.numpy()]
    ours = probe(data.h, data.item, data.attributes).encode(data.h).dense().numpy()
    theirs = LinearRegression().fit(data.h.numpy(), y.astype(float)).predict(data.h.numpy())
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    ours = probe(data.h, data.item, data.attributes, "logistic").encode(data.h).dense().numpy()
    theirs = LogisticRegression(max_iter=1000).fit(data.h.numpy(), y[:, 0]).decision_function(data.h.numpy())
    np.testing.assert_allclose(ours[:, 0], theirs, atol=0.05)


def test_the_probe_is_the_ceiling_and_a_null_stays_below(data):
    score = lambda d: mean_max_correlation(align(d, data.h, data.item, data.attributes))  # noqa: E731
    built = {name: score(make()) for name, make in builders(data).items()}
    assert all(built[name] < built["probe"] for name in NAMES if name != "probe")


def test_a_held_out_probe_scores_items_that_it_has_not_seen(data):
    def held_out(x, attributes):
        label, marked = attributes[data.item], halves[:, data.item]
        return held_out_probe(x, label.astype(float), marked, x, label.astype(float), label, marked).r

    halves = item_halves(np.bincount(data.item), 4, np.random.default_rng(0))
    held = held_out(data.h, data.attributes)
    own = align(probe(data.h, data.item, data.attributes), data.h, data.item, data.attributes).r.diagonal()
    assert held.shape == (4, 5) and (held > 0.3).all() and held.mean() < own.mean()
    meaningless = np.random.default_rng(1).permuted(data.attributes, axis=0)
    # rows that name their item: labels can be learned by rote
    many = torch.nn.functional.one_hot(data.item, 40).float()
    rote = align(probe(many, data.item, meaningless), many, data.item, meaningless).r.diagonal()
    assert rote.min() > 0.99 and abs(held_out(many, meaningless).mean()) < 0.15


def test_an_attribute_that_nobody_has_gets_a_latent_without_slope(data):
    attributes = data.attributes.copy()
    attributes[:, 1] = False
    for kind in ("least_squares", "logistic"):
        z = probe(data.h, data.item, attributes, kind).encode(data.h).dense()
        assert z[:, 1].abs().max() < 1e-6 and z[:, 0].std() > 0.1


def test_bad_input_is_named(data):
    g = torch.Generator()
    with pytest.raises(ValueError, match=r"l0=32: expected 0 < l0 < m=32"):
        di.random_relu(data.h, M, 32, g)
    with pytest.raises(ValueError, match=r"m=0: expected at least 1"):
        di.random_relu(data.h, 0, 1, g)
    with pytest.raises(ValueError, match=r"m=5000: expected at most 4000"):
        di.data_rows(data.h, 5000, 4, g)
    with pytest.raises(ValueError, match=r"components=9: expected 1 <= components <= 8"):
        di.pca(data.h, 9)
    with pytest.raises(ValueError, match=r"m=0: expected at least 1"):
        di.nmf(data.h, 0)
    with pytest.raises(ValueError, match=r"l0=3, m=3: expected 0 < l0 < m <= 4000"):
        di.kmeans(data.h, 3, 3, g)
    with pytest.raises(ValueError, match=r"NaN or infinite"):
        di.kmeans(data.h / 0, 3, 2, g)
    with pytest.raises(ValueError, match=r"expected least_squares or logistic"):
        probe(data.h, data.item, data.attributes, "svm")
    with pytest.raises(ValueError, match=r"x has 9 columns: expected d=8"):
        di.neurons(data.h).encode(torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"prefix=17: expected 1 <= prefix <= m=16"):
        di.neurons(data.h).decode(di.neurons(data.h).encode(data.h), 17)
