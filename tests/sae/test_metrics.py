import numpy as np
import pytest
import torch
from sklearn.metrics import explained_variance_score, mean_absolute_error, root_mean_squared_error

from recsae_core.sae import SAE, Code, SAEConfig, metrics

from .worlds import generator, planted


class Constant:
    """A dictionary that knows one row and has one latent that fires everywhere, one never, one on some rows."""

    def __init__(self, row):
        self.row, self.d, self.m = row, len(row), 3

    def encode(self, x):
        value = torch.zeros(len(x), 3)
        value[:, 0] = 1
        value[:, 2] = 0.1 * (x[:, 0] > 1000)
        return Code(value, None, 3)

    def decode(self, z, prefix=None):
        return self.row.expand(len(z.value), -1)


@pytest.mark.parametrize("sparsifier", ["relu", "topk"])
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_it_says_what_scikit_learn_says(sparsifier, batch):
    x = planted(90, 8)[0] * torch.linspace(0.1, 5, 8) + 20
    x[:, 4] = 2.0  # constant: not reconstructed exactly, so it scores 0
    sae = SAE(SAEConfig(8, 30, sparsifier, k=4 if sparsifier == "topk" else None), generator()).prepare(x)
    found = metrics.reconstruction(sae, x, batch)
    with torch.no_grad():
        x_hat, z = sae(x).double().numpy(), sae.encode(x).dense()
    want = x.double().numpy()
    assert found.explained_variance == pytest.approx(explained_variance_score(want, x_hat), rel=1e-5, abs=1e-5)
    assert found.mae == pytest.approx(mean_absolute_error(want, x_hat), rel=1e-5)
    assert found.rmse == pytest.approx(np.sqrt(((want - x_hat) ** 2).mean()), rel=1e-5)
    assert root_mean_squared_error(want[:, 0], x_hat[:, 0]) > 0
    fvu = ((want - x_hat) ** 2).sum() / ((want - want.mean(0)) ** 2).sum()
    assert found.fvu == pytest.approx(fvu, rel=1e-5)
    assert found.l0 == pytest.approx(float((z > 0).sum(1).double().mean()), rel=1e-6)
    assert found.dead == int((z.amax(0) <= 0).sum())
    assert found.below_tenth == int((z.amax(0) <= 0.1).sum())
    torch.testing.assert_close(found.fire_rate, (z > 0).float().mean(0))
    assert found.rows == 90


def test_predicting_the_mean_explains_nothing():
    x = planted(200, 5)[0] + 1000
    found = metrics.reconstruction(Constant(x.mean(0)), x, batch=13)
    assert found.fvu == pytest.approx(1, abs=1e-4)
    assert found.explained_variance == pytest.approx(0, abs=1e-4)
    assert (found.dead, found.below_tenth) == (1, 2)
    assert found.fire_rate.tolist() == pytest.approx([1, 0, float((x[:, 0] > 1000).float().mean())])


def test_fvu_is_about_the_training_mean_where_it_is_given():
    x = planted(200, 5)[0]
    elsewhere = x.mean(0) + 2
    found = metrics.reconstruction(Constant(elsewhere), x, batch=64, mean=elsewhere)
    assert found.fvu == pytest.approx(1, abs=1e-5)
    assert metrics.reconstruction(Constant(elsewhere), x).fvu > 1


def test_a_constant_dimension_reconstructed_exactly_scores_one():
    x = planted(50, 3)[0]
    x[:, 1] = 4.0
    row = torch.tensor([0.0, 4.0, 0.0])
    score = explained_variance_score(x.numpy(), row.expand(50, 3).numpy())
    assert metrics.reconstruction(Constant(row), x).explained_variance == pytest.approx(score, abs=1e-6)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="1 rows, batch=8192: expected at least 2 rows"):
        metrics.reconstruction(Constant(torch.zeros(3)), torch.zeros(1, 3))
