import itertools
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core import files, storage
from recsae_core.sae import SAE, Code, Dictionary, SAEConfig, TrainConfig, autoencoder, fit
from recsae_core.sae.sparsifiers import SPARSIFIERS, _JumpReLU, step

from .worlds import OPTIONS, generator, planted

D, M, K = 8, 24, 4


def make(sparsifier="topk", tied=False, standardize="none", row_norm="none", seed=0, **more):
    values = {"m": M, "tied": tied, "standardize": standardize, "row_norm": row_norm} | OPTIONS[sparsifier] | more
    return SAE(SAEConfig(D, sparsifier=sparsifier, **values), generator(seed))


def rows(n=300, seed=3):
    return 5 + planted(n, D, seed=seed)[0] * torch.linspace(0.1, 4, D)


@pytest.fixture(
    params=[
        *itertools.product(SPARSIFIERS, (False, True), ("none", "scalar", "per_dimension"), ("none",)),
        *itertools.product(SPARSIFIERS, (False,), ("none", "scalar"), ("restored", "averaged")),
    ],
    scope="module",
)
def sae(request):
    made = make(*request.param).prepare(rows())
    fit([made], rows(), {"mse": 1.0}, TrainConfig(rows=600, batch=60), generator=generator(), progress=False)
    return made


class TestContract:
    """What holds for every sparsifier, tied or not, every standardisation and every norm of rows."""

    def test_it_is_a_dictionary(self, sae):
        assert isinstance(sae, Dictionary)
        assert (sae.d, sae.m) == (D, M)

    def test_codes_are_not_negative_and_decode_to_rows(self, sae):
        z = sae.encode(rows())
        assert (z.value >= 0).all()
        assert z.m == M
        assert z.dense().shape == (300, M)
        assert sae.decode(z).shape == (300, D)
        assert (z.index is None) == (sae.config.sparsifier != "topk")

    def test_sparse_and_dense_codes_decode_alike(self, sae):
        z = sae.encode(rows())
        torch.testing.assert_close(sae.decode(z), sae.decode(z.with_dense(z.dense())))

    def test_decoding_is_affine_in_the_code(self, sae):
        code = sae.encode(rows())
        z = code.dense()
        zero = sae.decode(code.with_dense(torch.zeros_like(z)))
        a, b = (sae.decode(code.with_dense(c)) - zero for c in (z, z.flip(0)))
        torch.testing.assert_close(
            sae.decode(code.with_dense(2 * z - 3 * z.flip(0))) - zero, 2 * a - 3 * b, rtol=1e-4, atol=1e-4
        )

    def test_a_prefix_and_the_rest_add_up(self, sae):
        z = sae.encode(rows())
        zero = sae.decode(z, prefix=0)
        rest = z.with_dense(z.dense().index_fill(1, torch.arange(10), 0.0))
        torch.testing.assert_close(sae.decode(z, prefix=M), sae.decode(z))
        torch.testing.assert_close(
            sae.decode(z, prefix=10) + sae.decode(rest) - zero, sae.decode(z), rtol=1e-4, atol=1e-4
        )

    def test_the_order_of_rows_does_not_matter(self, sae):
        x, order = rows(), torch.randperm(300, generator=generator())
        torch.testing.assert_close(sae.encode(x[order]).dense(), sae.encode(x).dense()[order], rtol=1e-4, atol=1e-5)

    def test_inputs_stay_as_they_are(self, sae):
        x = rows()
        before = x.clone()
        z = sae.encode(x)
        value = z.value.clone()
        sae.decode(z)
        sae.decode(z, prefix=3)
        sae.prepare(x)
        assert torch.equal(x, before)
        assert torch.equal(z.value, value)

    def test_decoder_rows_have_norm_one_after_training(self, sae):
        torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(M))

    def test_all_parameters_got_a_gradient(self, sae):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in sae.parameters())

    def test_it_comes_back_from_its_folder_with_bit_equal_codes(self, sae, tmp_path):
        sae.save(tmp_path / "sae")
        again = SAE.load(tmp_path / "sae")
        assert again.config == sae.config
        z, w = sae.encode(rows()), again.encode(rows())
        assert torch.equal(z.dense(), w.dense())
        assert torch.equal(sae.decode(z), again.decode(w))
        assert all(torch.equal(t, again.state_dict()[name]) for name, t in sae.state_dict().items())

    def test_weights_put_into_a_fresh_one_count_at_once(self, sae):
        fresh = SAE(sae.config, generator(9)).eval()
        fresh.decode(fresh.encode(rows()))
        fresh.load_state_dict(sae.state_dict())
        assert torch.equal(fresh(rows()), sae(rows()))


def test_a_fresh_process_computes_bit_equal_codes(tmp_path):
    made = make(standardize="per_dimension").prepare(rows())
    fit([made], rows(), {"fvu": 1.0}, TrainConfig(rows=600, batch=60), generator=generator(), progress=False)
    made.save(tmp_path / "sae")
    x = rows(64)
    storage.save(tmp_path / "want", {"x": x, "z": made.encode(x).dense(), "x_hat": made(x)}, {})
    script = (
        "import sys, torch\nfrom pathlib import Path\nfrom recsae_core import files, storage\n"
        "from recsae_core.sae import SAE\n"
        "torch.set_num_threads(int(sys.argv[2]))\nfolder = Path(sys.argv[1])\nwant, _ = storage.load(folder / 'want')\n"
        "sae = SAE.load(folder / 'sae')\nassert torch.equal(sae.encode(want['x']).dense(), want['z'])\n"
        "assert torch.equal(sae(want['x']), want['x_hat'])\nprint('equal')"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(torch.get_num_threads())]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout == "equal\n", run.stderr


@settings(deadline=None, max_examples=30)
@given(st.integers(1, M), st.integers(0, 1000))
def test_topk_never_has_more_than_k_active(k, seed):
    sae = SAE(SAEConfig(D, M, "topk", k=k), generator(seed)).prepare(rows())
    z = sae.encode(rows(40, seed))
    assert ((z.dense() > 0).sum(1) <= k).all()
    assert z.value.shape == (40, k)


def test_topk_keeps_the_largest_pre_activations():
    sae = make().prepare(rows())
    pre, z = sae.run(rows())
    want = pre.topk(K, dim=1)
    expected = torch.zeros_like(pre).scatter_(1, want.indices, want.values.relu())
    torch.testing.assert_close(z.dense(), expected)


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-3, 1e3), st.sampled_from(["scalar", "per_dimension"]), st.sampled_from(list(SPARSIFIERS)))
def test_standardised_codes_do_not_depend_on_the_unit(factor, standardize, sparsifier):
    one, other = (make(sparsifier, standardize=standardize) for _ in range(2))
    x = rows()
    z, w = one.prepare(x).encode(x), other.prepare(x * factor).encode(x * factor)
    torch.testing.assert_close(w.dense(), z.dense(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(other.decode(w), one.decode(z) * factor, rtol=1e-3, atol=1e-3 * factor * 5)


class TestBatchTopK:
    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 13), st.sampled_from([1, 7, 24, 33]), st.integers(0, 100), st.data())
    def test_it_keeps_the_largest_of_the_batch(self, n, m, seed, data):
        k = data.draw(st.integers(1, m))
        sae = make("batchtopk", m=m, k=k, seed=seed).prepare(rows())
        pre, z = sae.run(rows(n, seed))
        most = pre.flatten().sort(descending=True).values[: n * k]
        assert torch.equal(z.value[z.value > 0].sort(descending=True).values, most[most > 0])
        assert ((z.value == 0) | (z.value == pre)).all()

    def test_a_batch_without_a_positive_value_has_an_empty_code_and_moves_no_threshold(self):
        sae = make("batchtopk").prepare(rows())
        sae.follow(sae.run(rows())[1])
        before = sae.state_dict()["threshold"].clone()
        with torch.no_grad():
            sae.b_enc.fill_(-1e6)
        z = sae.run(rows())[1]
        sae.follow(z)
        assert not z.value.any()
        assert torch.equal(sae.threshold, before)
        assert int(sae.threshold_rows) == 300

    def test_with_every_latent_chosen_it_is_a_relu(self):
        sae = make("batchtopk", k=M).prepare(rows())
        pre, z = sae.run(rows(7))
        assert torch.equal(z.value, pre.relu())
        sae.follow(z)
        assert sae.threshold == pre[pre > 0].min()

    def test_the_threshold_is_the_mean_of_the_smallest_chosen_values_weighted_by_rows(self):
        sae, low = make("batchtopk").prepare(rows()), []
        for batch in (rows()[:40], rows()[40:50]):
            z = sae.run(batch)[1]
            sae.follow(z)
            low.append(float(z.value.detach()[z.value > 0].min()))
        assert float(sae.threshold) == pytest.approx((40 * low[0] + 10 * low[1]) / 50, rel=1e-5)

    def test_old_batches_are_forgotten(self, monkeypatch):
        monkeypatch.setattr(autoencoder, "THRESHOLD_ROWS", 100)
        sae = make("batchtopk")
        for value in [9.0] * 30 + [1.0] * 60:
            sae.follow(Code(torch.full((10, M), value), None, M))
        assert float(sae.threshold) == pytest.approx(1 + 8 * 0.9**60, rel=1e-4)

    def test_selection_depends_on_the_batch_in_training_and_not_after_it(self):
        sae, x = make("batchtopk").prepare(rows()), rows()
        sae.follow(sae.run(x)[1])
        assert not torch.equal(sae.encode(x[:5]).value, sae.encode(x).value[:5])
        sae.eval()
        torch.testing.assert_close(sae.encode(x[:5]).value, sae.encode(x).value[:5])
        assert abs(float((sae.encode(x).value > 0).sum(1).float().mean()) - K) < 0.05


class TestJumpReLU:
    def test_values_are_those_above_the_threshold(self):
        sae = make("jumprelu", threshold=0.3).prepare(rows())
        pre, z = sae.run(rows())
        assert torch.equal(z.value, torch.where(pre > sae.log_threshold.exp(), pre, 0.0))
        assert ((z.value == 0) | (z.value > 0.3)).all()

    def test_gradients_are_those_of_the_paper(self):
        """By hand: the code passes its gradient where it is active; a threshold gets -(t / e) K((pre - t) / e)."""
        bandwidth = 0.4
        pre = torch.tensor([[0.1, 0.9], [0.6, 0.45], [0.29, 3.0]], requires_grad=True)
        log = torch.tensor([0.5, 0.8]).log().requires_grad_()
        g = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        _JumpReLU.apply(pre, log, bandwidth).backward(g)
        assert pre.grad.tolist() == [[0, 2], [3, 0], [0, 6]]
        # within .2 of the thresholds .5 and .8: .6 and .9; the last factor makes it the logarithm's
        want = torch.tensor([-(0.5 / bandwidth) * 3.0 * 0.5, -(0.8 / bandwidth) * 2.0 * 0.8])
        torch.testing.assert_close(log.grad, want)
        pre.grad = log.grad = None
        step(pre, log, bandwidth).backward(g)
        assert pre.grad is None
        torch.testing.assert_close(log.grad, torch.tensor([-3.0 * 0.5 / bandwidth, -2.0 * 0.8 / bandwidth]))

    def test_the_gradient_of_the_count_is_that_of_the_expected_count(self):
        """With pre-activations of known density, the mean of the rectangle is the derivative of P(pre > t)."""
        n, t = 400_000, 0.7
        pre = torch.randn(n, 1, generator=generator())
        log = torch.tensor([t]).log().requires_grad_()
        step(pre, log, 0.1).mean().backward()
        density = torch.distributions.Normal(0, 1).log_prob(torch.tensor(t)).exp()
        assert float(log.grad) == pytest.approx(-float(density) * t, rel=0.03)


class TestRowNorm:
    """``a x + b`` with an ``a`` and a ``b`` for each row is the same row to it."""

    def moved(self, x, seed=1):
        a, b = (torch.rand(len(x), 1, generator=generator(seed + i)) * 4 + 0.5 for i in range(2))
        return a, b, a * x + b

    @pytest.mark.parametrize("row_norm", ["restored", "averaged"])
    @pytest.mark.parametrize("sparsifier", SPARSIFIERS)
    def test_codes_do_not_depend_on_shift_and_scale_of_a_row(self, sparsifier, row_norm):
        sae = make(sparsifier, row_norm=row_norm, b_dec="zero").prepare(rows()).eval()
        x = rows()
        a, b, y = self.moved(x)
        z, w = sae.encode(x), sae.encode(y)
        torch.testing.assert_close(w.dense(), z.dense(), rtol=1e-3, atol=1e-3)
        want = a * sae.decode(z) + b if row_norm == "restored" else sae.decode(z)
        torch.testing.assert_close(sae.decode(w), want, rtol=1e-3, atol=5e-3)

    def test_the_sparsifier_sees_rows_of_mean_zero_and_unbiased_std_one(self):
        x = rows()
        u = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)
        sae = make("relu", row_norm="restored").prepare(x)
        pre, z = sae.run(x)
        plain = make("relu")
        plain.load_state_dict({name: t for name, t in sae.state_dict().items() if not name.startswith("row_")})
        torch.testing.assert_close(pre, plain.run(u)[0])
        torch.testing.assert_close(sae.b_dec.detach(), u.mean(0))  # where it begins
        back = plain.decode(plain.encode(u)) * (x.std(1, keepdim=True) + 1e-5) + x.mean(1, keepdim=True)
        torch.testing.assert_close(sae.reconstruct(z), back)

    def test_without_the_side_channel_all_rows_get_the_average(self):
        x = rows()
        sae = make("relu", row_norm="averaged").prepare(x)
        z = sae.encode(x)
        assert z.norm is None
        want = (z.value @ sae.W_dec + sae.b_dec) * (x.std(1) + 1e-5).mean() + x.mean(1).mean()
        torch.testing.assert_close(sae.decode(z), want)

    def test_a_code_made_by_hand_has_the_norm_of_an_average_row(self):
        on, off = (make("relu", row_norm=norm).prepare(rows()) for norm in ("restored", "averaged"))
        one_hot = Code(torch.eye(M), None, M)
        assert torch.equal(on.decode(one_hot), off.decode(one_hot))

    def test_an_edited_code_keeps_the_norm_of_its_rows(self):
        sae = make("relu", row_norm="restored").prepare(rows())
        z = sae.encode(rows())
        moved = z.with_dense(z.dense() + torch.eye(M)[3])
        torch.testing.assert_close(sae.decode(moved) - sae.decode(z), z.norm[1] * sae.W_dec[3], rtol=1e-4, atol=1e-4)

    def test_a_constant_row_is_restored(self):
        sae = make("relu", row_norm="restored").prepare(rows())
        torch.testing.assert_close(sae(torch.full((2, D), 3.0)), torch.full((2, D), 3.0), rtol=0, atol=1e-3)


def test_no_bias_stays_none():
    sae = make("relu", tied=True, b_dec="none", init="transposed", unit_norm=False)
    fit([sae], rows(), {"mse": 1.0}, TrainConfig(rows=600, batch=60), generator=generator(), progress=False)
    assert not sae.b_dec.any()
    assert sae.W_dec.grad.any()


def test_a_transposed_beginning_is_torchs_default_for_the_encoder():
    sae = make("relu", tied=True, init="transposed", unit_norm=False, m=5000)
    assert sae.encoder.abs().max() <= D**-0.5
    assert float(sae.encoder.detach().std()) == pytest.approx((D**-0.5) / 3**0.5, rel=0.02)
    assert not sae.b_enc.any()
    torch.testing.assert_close(make("relu", init="transposed").W_dec.norm(dim=1), torch.ones(M))


def test_standardisation_is_what_it_says():
    x = rows()
    scalar = make(standardize="scalar").prepare(x).standardized(x)
    assert scalar.mean().abs() < 1e-5
    assert abs(scalar.std(unbiased=False) - 1) < 1e-5
    assert scalar.mean(0).abs().max() > 0.1  # one mean for all dimensions
    each = make(standardize="per_dimension").prepare(x).standardized(x)
    torch.testing.assert_close(each.mean(0), torch.zeros(D), atol=1e-5, rtol=0)
    torch.testing.assert_close(each.std(0, unbiased=False), torch.ones(D))


def test_a_constant_dimension_does_no_harm():
    x = rows()
    x[:, 2] = 7.0
    sae = make(standardize="per_dimension").prepare(x)
    assert torch.isfinite(sae(x)).all()
    assert sae.scale[2] == 1


def test_statistics_about_a_far_mean_are_exact():
    x = rows() + 1e4
    sae = make().prepare(x)
    want = (x.double() - x.double().mean(0)).square().sum(1).mean()
    assert abs(float(sae.variance) / float(want) - 1) < 1e-5


def test_generators_decide_the_weights_and_the_global_one_is_left_alone():
    before = torch.get_rng_state()
    one, same, other = make(seed=1), make(seed=1), make(seed=2)
    assert torch.equal(one.W_dec, same.W_dec)
    assert not torch.equal(one.W_dec, other.W_dec)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tied_sae_has_one_matrix():
    sae = make(tied=True)
    assert sae.encoder is sae.W_dec
    assert "W_enc" not in sae.state_dict()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k": 0}, "k=0: expected 1 <= k <= m=24"),
        ({"sparsifier": "batchtopk", "k": 25}, "k=25: expected 1 <= k <= m=24"),
        ({"sparsifier": "jumprelu", "k": None, "threshold": 0.1}, "bandwidth=None: expected a positive number"),
        ({"sparsifier": "jumprelu", "k": None, "threshold": 0.0}, r"threshold=0\.0: expected a positive number"),
        ({"threshold": 0.1}, r"threshold=0\.1: expected none with sparsifier='topk'"),
        ({"k": 25}, "k=25: expected 1 <= k <= m=24"),
        ({"k": None}, "k=None: expected 1 <= k <= m=24"),
        ({"sparsifier": "relu"}, "k=4: expected none with sparsifier='relu'"),
        ({"sparsifier": "soft"}, "sparsifier='soft': expected one of relu, topk"),
        ({"d": 0}, "d=0: expected at least 1"),
        ({"standardize": "rows"}, "standardize"),
        ({"row_norm": "batch"}, "row_norm"),
        ({"row_norm": "restored", "d": 1}, "row_norm='restored': expected 'none' with d=1"),
        ({"rho": 0.0}, r"rho=0\.0: expected a number between 0 and 1"),
        ({"rho": 1.0}, r"rho=1\.0: expected a number between 0 and 1"),
        ({"prefixes": []}, r"prefixes=\[\]: expected lengths that increase from 1 or more to m=24"),
        ({"prefixes": [6, 12]}, r"prefixes=\[6, 12\]: expected lengths"),
        ({"prefixes": [12, 6, 24]}, "prefixes="),
        ({"prefixes": [6, 6, 24]}, "prefixes="),
        ({"prefixes": [0, 24]}, "prefixes="),
        ({"m": "24"}, "valid integer"),
        ({"width": 3}, "width"),
    ],
)
def test_a_wrong_configuration_says_what_is_possible(values, message):
    with pytest.raises(ValueError, match=message):
        SAEConfig(**({"d": D, "m": M, "sparsifier": "topk", "k": K} | values))


def test_wrong_rows_and_codes_are_refused():
    sae = make()
    with pytest.raises(ValueError, match=r"shape \(4, 7\): expected floats of shape \(n, 8\)"):
        sae.encode(torch.zeros(4, 7))
    with pytest.raises(ValueError, match="NaN"):
        sae.encode(torch.full((4, D), float("nan")))
    with pytest.raises(ValueError, match="has 3 latents: expected 24"):
        sae.decode(Code(torch.zeros(2, 3), None, 3))
    with pytest.raises(ValueError, match="prefix=25: expected 0 <= prefix <= m=24"):
        sae.decode(sae.encode(rows()), prefix=25)
    with pytest.raises(ValueError, match="all rows are equal"):
        sae.prepare(torch.ones(5, D))


def test_a_damaged_folder_is_refused_by_name(tmp_path):
    make().save(tmp_path / "sae")
    config = files.read_json(tmp_path / "sae" / "config.json")
    files.write_json(tmp_path / "sae" / "config.json", config | {"config": config["config"] | {"m": 25}})
    with pytest.raises(ValueError, match="do not fit the configuration"):
        SAE.load(tmp_path / "sae")
    files.write_json(tmp_path / "sae" / "config.json", {"recommender": "transformer"})
    with pytest.raises(ValueError, match="expected an SAE"):
        SAE.load(tmp_path / "sae")
    (tmp_path / "sae" / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no weights\.safetensors"):
        SAE.load(tmp_path / "sae")
