from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, kl_divergence

from recsae_core.sae import SAE, Code, Pass, SAEConfig, TrainConfig, fit
from recsae_core.sae.sparsifiers import SPARSIFIERS
from recsae_core.sae.terms import TERMS, auxk, fvu, kl, kl_mean, l0, l1, l2, mse, objective, prefixes

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
    with pytest.raises(ValueError, match=r"'prediction_hinge': expected one of .*prediction_mse, prediction_bce"):
        objective({"prediction_hinge": 1.0})
    with pytest.raises(ValueError, match="no term"):
        objective({})


def sided(users, items):
    """Averages over the first rows and over the others."""
    out = torch.zeros(2, users + items)
    out[0, :users], out[1, users:] = 1 / users, 1 / items
    return out


class TestKL:
    def rates(self, pre, rho, sides=None):
        """A pass whose latents have these pre-activations."""
        sae = SAE(SAEConfig(D, pre.shape[1], rho=rho), generator())
        x = torch.zeros(len(pre), D)
        return Pass(x, pre, Code(pre.relu(), None, pre.shape[1]), x, pre[0] > 9, sae, None, None, sides)

    def oracle(self, rho, rate):
        return kl_divergence(Bernoulli(torch.tensor(rho)), Bernoulli(rate)).sum()

    @settings(deadline=None, max_examples=20)
    @given(st.floats(0.01, 0.9), st.integers(0, 100), st.booleans())
    def test_both_are_the_divergence_of_bernoullis(self, rho, seed, two):
        pre = torch.randn(40, 5, generator=generator(seed))
        p = self.rates(pre, rho, sided(10, 30) if two else None)
        parts = [slice(0, 10), slice(10, 40)] if two else [slice(None)]
        rate = [(pre[part] > 0).float().mean(0).clamp(0.5 / len(pre[part]), 1 - 0.5 / len(pre[part])) for part in parts]
        mean = [pre[part].relu().mean(0).clamp(1e-6, 1 - 1e-6) for part in parts]
        torch.testing.assert_close(kl(p), sum(self.oracle(rho, r) for r in rate), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(kl_mean(p), sum(self.oracle(rho, r) for r in mean), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("term", [kl, kl_mean])
    def test_the_smallest_value_is_at_rho_and_is_zero(self, term):
        values = []
        for active in range(1, 100):
            pre = torch.full((100, 1), -1.0)
            pre[:active] = 1.0
            values.append(float(term(self.rates(pre, 0.3))))
        assert values.index(min(values)) == 29  # 30 of 100 rows, on each of which the value is 1
        assert min(values) == pytest.approx(0, abs=1e-5)
        assert values[:30] == sorted(values[:30], reverse=True)
        assert values[29:] == sorted(values[29:])

    @pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
    def test_the_rate_pulls_at_any_scale_up_where_it_is_low_and_down_where_it_is_high(self, scale):
        x = torch.randn(200, 3, generator=generator()) + torch.tensor([-5.0, 0.0, 5.0])  # never, half, always
        pre = (scale * x).requires_grad_()
        kl(self.rates(pre, 0.1)).backward()
        g = pre.grad.sum(0) * scale
        assert (g > 0).tolist() == [False, True, True]
        once = g.clone()
        pre = (2 * scale * x).requires_grad_()
        kl(self.rates(pre, 0.1)).backward()
        torch.testing.assert_close(pre.grad.sum(0) * scale * 2, once, rtol=1e-3, atol=0)  # whatever the scale

    def test_the_mean_does_not_pull_beyond_one_nor_where_nothing_is_active(self):
        pre = torch.tensor([[3.0, -1.0, 0.5]]).expand(8, 3).clone().requires_grad_()
        kl_mean(self.rates(pre, 0.1)).backward()
        assert (pre.grad != 0).any(0).tolist() == [False, False, True]

    def test_it_brings_the_firing_rate_to_rho_in_training(self):
        x = torch.randn(4000, D, generator=generator())
        sae = SAE(SAEConfig(D, 16, rho=0.1), generator())
        train = TrainConfig(rows=120_000, batch=400, lr=5e-3, log_every=120_000)
        fit([sae], x, {"mse": 0.01, "kl": 1.0}, train, generator=generator(), progress=False)
        rate = (sae.encode(x).value > 0).float().mean(0)
        assert float((rate - 0.1).abs().mean()) < 0.03

    def test_it_asks_for_rho_and_for_free_rates(self):
        for term in (kl, kl_mean):
            with pytest.raises(ValueError, match="rho=None: terms 'kl' and 'kl_mean' expect a rho"):
                term(run(make("relu"), rows()))
        with pytest.raises(ValueError, match="'kl' needs free firing rates, not sparsifier='topk'"):
            kl(run(make("topk", rho=0.1), rows()))


class TestPrefixes:
    @pytest.mark.parametrize("row_norm", ["none", "restored", "averaged"])
    @pytest.mark.parametrize("sparsifier", SPARSIFIERS)
    def test_it_is_the_sum_over_what_each_prefix_decodes_to(self, sparsifier, row_norm):
        lengths = [3, 4, 20, M]
        sae = make(sparsifier, prefixes=lengths, row_norm=row_norm, standardize="scalar")
        p = run(sae, rows())
        want = sum((sae.reconstruct(p.z, n) - p.x).square().sum(1).mean() for n in lengths)
        torch.testing.assert_close(prefixes(p), want)
        grads = [torch.autograd.grad(loss, sae.W_dec, retain_graph=True)[0] for loss in (prefixes(p), want)]
        torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)

    def test_the_whole_alone_is_mse(self):
        p = run(make(prefixes=[M]), rows())
        assert prefixes(p) == mse(p)

    def test_it_asks_for_lengths(self):
        with pytest.raises(ValueError, match="prefixes=None: term 'prefixes' expects lengths"):
            prefixes(run(make(), rows()))

    def test_first_latents_learn_to_do_without_the_others(self):
        x, left = planted(4000, D)[0], []
        for terms in ({"prefixes": 1.0}, {"mse": 1.0}):
            sae = SAE(SAEConfig(D, 16, "topk", k=4, prefixes=[4, 8, 16]), generator())
            train = TrainConfig(rows=60_000, batch=200, lr=3e-3, log_every=60_000)
            fit([sae], x, terms, train, generator=generator(), progress=False)
            left.append(float((sae.decode(sae.encode(x), prefix=4) - x).detach().square().sum(1).mean()))
        assert left[0] < 0.8 * left[1]


class TestPrediction:
    @pytest.mark.parametrize(
        ("name", "by_hand"),
        [
            ("prediction_mse", lambda y, t: (y - t).square().mean()),
            (
                "prediction_bce",
                lambda y, t: -(t.sigmoid() * y.sigmoid().log() + (-t).sigmoid() * (-y).sigmoid().log()).mean(),
            ),
            ("prediction_probability", lambda y, t: (y.sigmoid() - t.sigmoid()).square().mean()),
        ],
    )
    def test_it_compares_what_comes_out_and_teaches_x_hat_alone(self, name, by_hand):
        p = run(make("relu"), rows())
        made, target = toy(p.x_hat), toy(p.x)
        torch.testing.assert_close(TERMS[name](p), by_hand(made, target))
        x, x_hat = rows().requires_grad_(), (rows() * 1.1).requires_grad_()
        TERMS[name](p._replace(x=x, x_hat=x_hat)).backward()
        assert x.grad is None
        assert x_hat.grad.any()

    @pytest.mark.parametrize("name", ["prediction_mse", "prediction_bce", "prediction_probability"])
    def test_the_same_rows_are_the_best_copy(self, name):
        p = run(make("relu"), rows())
        best = TERMS[name](p._replace(x_hat=p.x))
        for noise in (0.1, 1.0):
            other = p.x + noise * torch.randn(p.x.shape, generator=generator())
            assert TERMS[name](p._replace(x_hat=other)) > best

    def test_rows_without_the_rest_of_a_recommender_are_refused(self):
        with pytest.raises(ValueError, match="a prediction term needs the rest of the recommender"):
            fit([make()], rows(), {"prediction_mse": 1.0}, TrainConfig(rows=200), generator=generator(), progress=False)

    def test_what_the_recommender_says_of_the_rows_is_computed_once_for_all_saes(self):
        calls = []

        def finish(h):
            calls.append(h.requires_grad)
            return h @ h.T

        saes = [make("relu", standardize=s) for s in ("none", "scalar", "per_dimension")]
        splits = [SimpleNamespace(h=part, finish=finish) for part in rows(200).split(50)]
        terms = {"mse": 1.0, "prediction_mse": 0.1}
        fit(saes, splits, terms, TrainConfig(epochs=1), generator=generator(), progress=False)
        assert calls.count(False) == 4
        assert calls.count(True) == 12

    def test_an_sae_ends_the_same_alone_and_beside_others(self):
        case = torch.arange(50) - 25
        splits = [SimpleNamespace(h=h, finish=lambda h: h[:25] @ h[25:].T, case=case) for h in rows(200).split(50)]
        terms = [{"mse": 1.0, "prediction_mse": beta, "kl": 0.1, "kl_mean": 0.1} for beta in (0.0, 0.01)]

        def trained(chosen):
            saes = [make("relu", rho=0.1, row_norm="restored") for _ in chosen]
            fit(saes, splits, chosen, TrainConfig(epochs=5, lr=3e-3), generator=generator(), progress=False)
            return [sae.state_dict() for sae in saes]

        together = trained(terms)
        assert not torch.equal(together[0]["W_dec"], together[1]["W_dec"])
        for one, weights in zip(together, terms, strict=True):
            assert all(torch.equal(t, one[name]) for name, t in trained([weights])[0].items())

    def test_rows_of_users_and_items_are_told_apart_by_their_case(self):
        case, seen = torch.tensor([0, 1, -1, -1, -1]), []

        def spy(p):
            seen.append(p.sides)
            return mse(p)

        splits = [
            SimpleNamespace(h=rows(5), finish=toy, case=case),
            SimpleNamespace(h=rows(5), finish=toy, case=torch.arange(5)),
            SimpleNamespace(h=rows(5), finish=toy),
        ]
        fit([make()], splits, {"spy": (1.0, spy)}, TrainConfig(epochs=1), generator=generator(), progress=False)
        torch.testing.assert_close(seen[0], sided(2, 3))
        assert seen[1:] == [None, None]
