import dataclasses
import itertools
import os
import warnings
from types import SimpleNamespace

import pytest
import torch

from recsae_core.sae import SAE, SAEConfig, TrainConfig, fit, metrics
from recsae_core.sae.sparsifiers import SPARSIFIERS
from recsae_core.sae.terms import l1, mse

from .worlds import OPTIONS, generator, planted, recovered

D, M = 16, 48
TRAIN = TrainConfig(rows=2048, batch=64, lr=3e-3, warmup=256, log_every=512, dead_after=1024)


def make(seed=0, sparsifier="topk", **more):
    return SAE(SAEConfig(D, M, sparsifier, **OPTIONS[sparsifier] | more), generator(seed))


def run(saes, rows, terms=None, train=TRAIN, seed=5, **more):
    return fit(saes, rows, terms or {"mse": 1.0}, train, generator=generator(seed), progress=False, **more)


def rows(n=1500):
    return planted(n, D)[0]


def weights(sae):
    return {name: t.clone() for name, t in sae.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(t, other[name]) for name, t in one.items())


@pytest.mark.parametrize("sparsifier", SPARSIFIERS)
def test_planted_directions_are_recovered(sparsifier):
    x, truth = planted(8000, D)
    sae = make(sparsifier=sparsifier, **({"k": 2} if sparsifier == "batchtopk" else {}))  # 1.9 directions a row
    terms = {"relu": {"l2": 1.0, "l1": 0.15}, "jumprelu": {"mse": 1.0, "l0": 0.1}}.get(sparsifier, {"mse": 1.0})
    before = recovered(truth, sae.W_dec.detach())
    result = run([sae], x, terms, TrainConfig(rows=120_000, batch=128, lr=3e-3, warmup=3000, log_every=30_000))[0]
    assert before < 0.72
    assert recovered(truth, sae.W_dec.detach()) > 0.9
    assert result.history[-1]["loss"] < 0.8 * result.history[0]["loss"]
    if sparsifier in ("topk", "batchtopk"):  # after training, too, as many are active as were in training
        assert metrics.reconstruction(sae, x).l0 == pytest.approx(result.history[-1]["l0"], rel=0.05)


def test_a_larger_price_of_an_active_latent_raises_the_thresholds():
    x, saes = planted(4000, D)[0], [make(sparsifier="jumprelu") for _ in range(3)]
    train = TrainConfig(rows=40_000, batch=128, lr=3e-3, log_every=40_000)
    run(saes, x, [{"mse": 1.0, "l0": weight} for weight in (0.01, 0.1, 1.0)], train)
    active = [metrics.reconstruction(sae, x).l0 for sae in saes]
    threshold = [float(sae.log_threshold.detach().mean()) for sae in saes]
    assert threshold[0] < threshold[1] < threshold[2]
    assert active[0] > 1.5 * active[2]


def test_an_sae_ends_the_same_alone_and_beside_others():
    alone = [make(seed) for seed in (0, 1)]
    together = [make(seed) for seed in (0, 1)]
    terms = [{"mse": 1.0}, {"fvu": 1.0, "auxk": 0.03}]
    for sae, term in zip(alone, terms, strict=True):
        run([sae], rows(), term)
    results = run(together, rows(), terms)
    for sae, result in zip(alone, results, strict=True):
        assert_same(weights(sae), weights(result.sae))


def test_seed_and_data_decide_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    one, same, other = make(), make(), make()
    run([one], rows())
    run([same], rows())
    run([other], rows(), seed=6)
    assert_same(weights(one), weights(same))
    assert not torch.equal(one.W_dec, other.W_dec)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("standardize", ["none", "scalar", "per_dimension"])
@pytest.mark.parametrize("form", ["tensor", "views"])
def test_training_data_are_never_written_to(standardize, form):
    x = rows()
    before = x.clone()
    train = dataclasses.replace(TRAIN, rows=None, epochs=3)
    run([make(standardize=standardize)], x if form == "tensor" else list(x.split(64)), train=train)
    assert torch.equal(x, before)


def test_nothing_of_the_caller_is_changed():
    terms = {"mse": 1.0, "mine": (0.1, l1)}
    run([make()], rows(), terms)
    assert terms == {"mse": 1.0, "mine": (0.1, l1)}


class TestRows:
    """Every origin of rows, and what happens at its end."""

    def seen(self, source, train):
        batches = []

        def spy(p):
            batches.append(p.x.clone())
            return mse(p)

        result = run([make(b_dec="zero")], source, {"spy": (1.0, spy)}, train)[0]
        return batches, result

    def test_a_shuffled_epoch_has_every_row_once(self):
        x = torch.randn(100, D, generator=generator())
        batches, result = self.seen(x, TrainConfig(epochs=2, batch=32))
        both = torch.cat(batches)
        assert [len(b) for b in batches] == [32] * 6 + [8]
        assert result.rows == 200
        for epoch in (both[:100], both[100:]):
            assert sorted(epoch[:, 0].tolist()) == sorted(x[:, 0].tolist())
        assert not torch.equal(both[:100], both[100:])

    def test_draws_with_replacement_repeat_rows(self):
        x = torch.randn(100, D, generator=generator())
        batches, result = self.seen(x, TrainConfig(rows=250, batch=100, sampling="replacement"))
        assert result.rows == 250
        assert len(set(batches[0][:, 0].tolist())) < 80

    def test_a_list_is_read_in_order_cut_to_batches_and_begun_anew(self):
        x = torch.randn(70, D, generator=generator())
        batches, result = self.seen(list(x.split([1, 30, 9, 30])), TrainConfig(rows=150, batch=32))
        assert [len(b) for b in batches] == [32, 32, 32, 32, 22]
        assert torch.equal(torch.cat(batches), torch.cat([x, x, x])[:150])
        assert result.rows == 150

    def test_epochs_of_a_list_end_with_the_rest(self):
        x = torch.randn(70, D, generator=generator())
        batches, _ = self.seen(list(x.split(20)), TrainConfig(epochs=2, batch=32))
        assert torch.equal(torch.cat(batches), torch.cat([x, x]))

    def test_a_generator_that_ends_early_ends_the_training_with_a_warning(self):
        x = torch.randn(70, D, generator=generator())
        with pytest.warns(UserWarning, match="ended early"):
            batches, result = self.seen((part for part in x.split(20)), TrainConfig(rows=500, batch=32))
        assert result.rows == 70
        assert torch.equal(torch.cat(batches), x)

    def test_a_generator_with_enough_rows_ends_without_one(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, result = self.seen((torch.randn(40, D) for _ in itertools.count()), TrainConfig(rows=100, batch=32))
            assert result.rows == 100
            x = torch.randn(70, D, generator=generator())
            assert self.seen((part for part in x.split(20)), TrainConfig(epochs=1, batch=32))[1].rows == 70

    def test_stopped_recommenders_bring_their_finish_in_the_units_of_the_site(self):
        x = rows(300) * 3 + 7
        splits = [SimpleNamespace(h=part, finish=lambda h: h[:, :3]) for part in x.split(50)]

        def prediction(p):
            assert len(p.x) == 50
            torch.testing.assert_close(p.finish(p.x), p.sae.restored(p.x)[:, :3])
            return (p.finish(p.x_hat) - p.finish(p.x)).square().mean()

        sae = make(standardize="scalar")
        result = run([sae], splits, {"prediction": (1.0, prediction)}, TrainConfig(epochs=30, batch=8, lr=3e-3))[0]
        assert result.rows == 9000
        assert float((sae(x) - x)[:, :3].detach().square().mean()) < 0.5 * float(x[:, :3].var(0).mean())

    def test_a_list_trains_like_the_tensor_it_is_cut_from(self):
        x = rows(640)
        one, other = make(), make()
        run([one.prepare(x)], [x], train=TrainConfig(rows=640, batch=64))
        run([other.prepare(x)], list(x.split(100)), train=TrainConfig(rows=640, batch=64))
        assert_same(weights(one), weights(other))

    def test_batching_a_constant_state_does_not_change_the_loss(self):
        x = rows(1000)
        logged = [
            run([make().prepare(x)], [x], train=TrainConfig(rows=1000, batch=batch, lr=1e-12, log_every=1000))[
                0
            ].history
            for batch in (10, 100)
        ]
        assert logged[0][0]["loss"] == pytest.approx(logged[1][0]["loss"], rel=1e-5)


class TestClocks:
    def test_learning_rate_rises_over_rows(self):
        assert TRAIN.rate(64) == TRAIN.lr / 4
        assert TRAIN.rate(256) == TRAIN.rate(5000) == TRAIN.lr

    def test_logs_come_every_so_many_rows_with_every_term(self):
        logged = []
        result = run([make(0), make(1)], rows(), {"mse": 1.0, "l1": 0.01}, on_log=logged.append)[1]
        assert [row["rows"] for row in result.history] == [512, 1024, 1536, 2048]
        assert logged[1] == {"sae": 1} | result.history[0]
        row = result.history[0]
        assert row.keys() == {"rows", "lr", "loss", "mse", "l1", "l0", "dead"}
        assert row["loss"] == pytest.approx(row["mse"] + 0.01 * row["l1"], rel=1e-5)
        assert row["l0"] <= 4

    @pytest.mark.parametrize("sparsifier", ["relu", "topk"])
    @pytest.mark.parametrize("batch", [64, 256])
    def test_latents_die_after_rows_not_steps(self, sparsifier, batch):
        sae = make(sparsifier=sparsifier)
        with torch.no_grad():
            sae.b_enc[7] = -1e6
        train = TrainConfig(rows=2048, batch=batch, lr=1e-5, dead_after=1024, log_every=512)
        result = run([sae], rows(), train=train)[0]
        assert [row["dead"] for row in result.history[:1]] == [0]
        assert [row["dead"] >= 1 for row in result.history[1:]] == [True] * 3
        assert result.dead[7]

    def test_a_selected_zero_is_not_alive(self):
        sae = make()
        with torch.no_grad():
            sae.b_enc.fill_(-1e6)
        assert run([sae], rows())[0].dead.all()

    def test_auxk_brings_dead_latents_back_to_use(self):
        """A window sized for billions of rows would never open on a run of this length."""
        x, dead, fvu = planted(6000, D)[0], [], []
        for terms in ({"fvu": 1.0}, {"fvu": 1.0, "auxk": 1 / 32}):
            sae = make()
            with torch.no_grad():
                sae.b_enc[8:] = -1.5  # all but eight are silent on most rows
            train = TrainConfig(rows=60_000, batch=128, lr=3e-3, dead_after=2000, log_every=10_000)
            dead.append(int(run([sae], x, terms, train)[0].dead.sum()))
            fvu.append(metrics.reconstruction(sae, x).fvu)
        assert dead[1] < 0.8 * dead[0]
        assert fvu[1] < 0.9 * fvu[0]


class TestResume:
    def kill_after(self, n):
        def log(row):
            if row["rows"] >= n:
                raise KeyboardInterrupt

        return log

    @pytest.mark.parametrize("form", [lambda x: x, lambda x: list(x.split(100))], ids=["tensor", "list"])
    def test_a_killed_run_goes_on_to_the_same_numbers(self, tmp_path, form):
        state = tmp_path / "state.safetensors"
        whole, killed, resumed = ([make(i, name) for i, name in enumerate(SPARSIFIERS)] for _ in range(3))
        want = run(whole, form(rows()))
        with pytest.raises(KeyboardInterrupt):
            run(killed, form(rows()), resume=state, on_log=self.kill_after(1536))
        steps = []
        found = run(resumed, form(rows()), resume=state, on_log=lambda row: steps.append(row["rows"]))
        assert min(steps) == 1536  # the state of 1024 was the last one written
        for one, other in zip(want, found, strict=True):
            assert_same(weights(one.sae), weights(other.sae))
            assert one.history == other.history
            assert torch.equal(one.dead, other.dead)

    def test_a_finished_run_is_not_run_again(self, tmp_path):
        state = tmp_path / "state.safetensors"
        done = run([make()], rows(), resume=state)[0]
        again = run([make()], rows(), resume=state, on_log=lambda row: pytest.fail("trained again"))[0]
        assert_same(weights(done.sae), weights(again.sae))
        assert again.history == done.history

    def test_a_kill_while_writing_leaves_the_old_state(self, tmp_path, monkeypatch):
        state = tmp_path / "state.safetensors"
        with pytest.raises(KeyboardInterrupt):
            run([make()], rows(), resume=state, on_log=self.kill_after(1024))
        before = state.read_bytes()
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run([make()], rows(), resume=state)
        assert [p.name for p in tmp_path.iterdir()] == [state.name]
        assert state.read_bytes() == before

    def test_the_state_of_another_run_is_refused(self, tmp_path):
        state = tmp_path / "state.safetensors"
        run([make()], rows(), resume=state)
        with pytest.raises(ValueError, match="other SAEs, terms or settings"):
            run([make()], rows(), {"fvu": 1.0}, resume=state)
        state.write_bytes(b"nonsense")
        with pytest.raises(ValueError, match="cannot be read"):
            run([make()], rows(), resume=state)


class TestBadInput:
    def test_a_row_that_is_not_a_number_is_named(self):
        x = rows()
        x[1234, 3] = float("nan")
        with pytest.raises(ValueError, match="row 1234 holds NaN"):
            run([make()], x)
        with pytest.raises(ValueError, match="row 1234 holds NaN"):
            run([make()], list(x.split(100)))

    def test_rows_whose_sum_is_too_large_for_a_float_are_rows(self):
        x = torch.full((4, D), 3e38)
        x[0] = 1e38
        with pytest.raises(ValueError, match="not finite at step 1"):
            run([make(standardize="none")], x, {"mse": 1.0}, dataclasses.replace(TRAIN, rows=4, batch=4))

    def test_a_diverging_loss_names_the_step(self):
        steps = []

        def explode(p):
            steps.append(0)
            return mse(p) * (float("inf") if len(steps) == 5 else 1.0)

        with pytest.raises(ValueError, match="not finite at step 5"):
            run([make()], rows(), {"explode": (1.0, explode)})

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (torch.zeros(0, D), "no row to train on"),
            (torch.zeros(5, D + 1), r"shape \(5, 17\): expected floats of shape \(n, 16\)"),
            (torch.zeros(5, D, dtype=torch.long), "int64"),
            ([], "stream of rows is empty"),
            (["text"], "rows hold a str"),
        ],
    )
    def test_wrong_rows_are_refused(self, source, message):
        with pytest.raises(ValueError, match=message):
            run([make()], source)

    def test_saes_and_objectives_must_pair(self):
        with pytest.raises(ValueError, match="1 SAEs and 2 objectives"):
            run([make()], rows(), [{"mse": 1.0}, {"mse": 1.0}])
        with pytest.raises(ValueError, match="0 SAEs"):
            run([], rows())

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({}, "rows=None, epochs=None: expected exactly one"),
            ({"rows": 5, "epochs": 1}, "rows=5, epochs=1: expected exactly one"),
            ({"rows": 0}, "rows=0: expected at least 1"),
            ({"rows": 5, "batch": 0}, "batch=0: expected at least 1"),
            ({"rows": 5, "warmup": -1}, "warmup=-1: expected at least 0"),
            ({"rows": 5, "lr": float("nan")}, "lr=nan: expected a positive number"),
            ({"rows": 5, "clip": 0.0}, r"clip=0\.0: expected a positive number"),
            ({"rows": 5, "beta1": 1.0}, r"beta1=1\.0: expected 0 <= beta1 < 1"),
            ({"rows": 5, "sampling": "sorted"}, "sampling"),
            ({"rows": 5, "steps": 3}, "steps"),
            ({"rows": "5"}, "valid integer"),
        ],
    )
    def test_wrong_settings_say_what_is_possible(self, values, message):
        with pytest.raises(ValueError, match=message):
            TrainConfig(**values)

    def test_a_stream_cannot_be_drawn_from(self):
        with pytest.raises(ValueError, match="sampling='replacement': expected rows in one tensor"):
            run([make()], [rows()], train=dataclasses.replace(TRAIN, sampling="replacement"))
