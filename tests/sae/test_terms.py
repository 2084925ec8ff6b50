import pytest
import torch

from recsae_core.sae import SAE, Pass, SAEConfig
from recsae_core.sae.sparsifiers import SPARSIFIERS
from recsae_core.sae.terms import TERMS, auxk, fvu, l0, l1, l2, mse, objective

from .worlds import OPTIONS, generator, planted

D, M = 8, 32


def make(sparsifier="topk", **more):
    sae = SAE(SAEConfig(D, M, sparsifier, **OPTIONS[sparsifier] | more), generator())
    return sae.prepare(rows())


def rows(n=200):
    return planted(n, D)[0] + 3


def run(sae, x, dead=()):
    u = sae.standardized(x)
    pre, z = sae.run(u)
    mask = torch.zeros(M, dtype=torch.bool)
    mask[list(dead)] = True
    return Pass(u, pre, z, sae.reconstruct(z), mask, sae, toy, lambda: toy(u).detach())


def toy(u):
    """The rest of a recommender that scores each row on its own."""
    return (u[:, :3] * u[:, 3:6]).tanh() * 3


def test_values_by_hand():
    x, x_hat = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1.0, 1.0]])
    sae = SAE(SAEConfig(2, 3), generator()).prepare(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    z = sae.run(x)[1]._replace(value=torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.5, 0.0]]))
    p = Pass(x, z.value, z, x_hat, torch.zeros(3, dtype=torch.bool), sae, None)
    assert float(l2(p)) == 2.5  # (5 + 0) / 2
    assert float(mse(p)) == 12.5  # (25 + 0) / 2
    assert float(fvu(p)) == 12.5  # the variance is 1
    assert float(l1(p)) == 1.75


def test_the_unsquared_norm_has_a_gradient_at_a_perfect_reconstruction():
    sae = make("relu")
    x_hat = rows().requires_grad_()
    p = run(sae, rows())._replace(x_hat=x_hat, x=rows())
    l2(p).backward()
    assert torch.isfinite(x_hat.grad).all()


@pytest.mark.parametrize("standardize", ["none", "scalar", "per_dimension"])
def test_predicting_the_training_mean_gives_fvu_one(standardize):
    sae = make(standardize=standardize)
    p = run(sae, rows())
    assert abs(float(fvu(p._replace(x_hat=sae.mean.expand(200, D)))) - 1) < 1e-5


@pytest.mark.parametrize(
    ("name", "sparsifier"),
    [(t, s) for t in TERMS for s in SPARSIFIERS if not t.startswith("kl") and (t != "l0" or s == "jumprelu")],
)
def test_terms_do_not_depend_on_the_batch(name, sparsifier):
    sae, x = make(sparsifier, prefixes=[8, 20, M]).eval(), rows()
    dead = range(5, 25)
    with torch.no_grad():
        whole = TERMS[name](run(sae, x, dead))
        parts = torch.stack([TERMS[name](run(sae, part, dead)) for part in x.split(10)]).mean()
    torch.testing.assert_close(parts, whole)


def test_the_count_is_of_active_latents_and_has_no_meaning_elsewhere():
    sae = make("jumprelu")
    p = run(sae, rows())
    assert float(l0(p).detach()) == float((p.z.value > 0).sum(1).float().mean())
    l0(p).backward()
    assert sae.log_threshold.grad.abs().sum() > 0
    assert not any(q.grad is not None and q.grad.any() for name, q in sae.named_parameters() if name != "log_threshold")
    with pytest.raises(ValueError, match="no gradient with sparsifier='topk'"):
        l0(run(make("topk"), rows()))


class TestAuxK:
    def test_its_gradient_reaches_the_encoder_of_dead_latents_and_of_no_other(self):
        sae, dead = make(), [3, 8, 9, 20]
        auxk(run(sae, rows(), dead)).backward()
        alive = torch.ones(M, dtype=torch.bool)
        alive[dead] = False
        for parameter in (sae.W_enc, sae.b_enc, sae.W_dec):
            assert (parameter.grad[dead] != 0).any()
            assert (parameter.grad[alive] == 0).all()

    def test_the_residual_is_a_constant_and_the_bias_is_not_in_it(self):
        """So the only way to b_dec is through the pre-activations of the dead latents."""
        sae = make()
        p = run(sae, rows(), [3, 8, 9])
        p = p._replace(pre=p.pre.detach(), x_hat=p.x_hat.detach().requires_grad_())
        auxk(p).backward()
        assert p.x_hat.grad is None
        assert sae.b_dec.grad is None

    def test_a_step_brings_the_dead_latents_nearer_to_what_is_missing(self):
        sae, dead = make(), list(range(0, M, 2))
        x = rows()
        residual = (lambda p: p.x - p.x_hat)(run(sae, x)).detach()

        def left(p):
            made = torch.zeros_like(p.pre).index_copy(1, torch.tensor(dead), p.pre[:, dead].relu()) @ sae.W_dec
            return float((residual - made.detach()).square().sum(1).mean())

        before = left(run(sae, x, dead))
        for _ in range(20):
            sae.zero_grad()
            auxk(run(sae, x, dead)._replace(x_hat=x - residual), k=len(dead)).backward()
            with torch.no_grad():
                for parameter in (sae.W_enc, sae.b_enc, sae.W_dec):
                    parameter -= 0.05 * parameter.grad
        assert left(run(sae, x, dead)) < before

    def test_a_dead_latent_learns_the_sign_of_the_residual(self):
        """Taught x_hat - x instead, a dead latent turns away from what is missing."""
        sae = make()
        p = run(sae, rows(), [7])
        missing = torch.nn.functional.normalize(torch.arange(1.0, D + 1), dim=0)
        p = p._replace(x_hat=p.x - missing, pre=torch.ones(200, M))
        auxk(p).backward()
        assert (
            float(-sae.W_dec.grad[7].detach() @ (missing - sae.W_dec[7].detach() * (missing @ sae.W_dec[7].detach())))
            > 0
        )

    def test_with_no_dead_latent_it_is_zero(self):
        assert float(auxk(run(make(), rows()))) == 0

    def test_it_uses_no_more_than_k_dead_latents_a_row(self):
        sae = make()
        p = run(sae, rows(), range(20))
        p = p._replace(pre=p.pre.detach().requires_grad_())
        auxk(p, k=3).backward()
        used = p.pre.grad != 0
        assert (used.sum(1) <= 3).all()
        assert not used[:, 20:].any()


def test_objectives_take_names_or_functions():
    found = objective({"l2": 1, "mine": (0.5, l1)})
    assert found == {"l2": (1.0, l2), "mine": (0.5, l1)}
    with pytest.raises(ValueError, match="'l3': expected one of l2, mse, fvu, l1, auxk, l0"):
        objective({"l3": 1.0})
    with pytest.raises(ValueError, match="no term"):
        objective({})
