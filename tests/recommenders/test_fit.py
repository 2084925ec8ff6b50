import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from recsae_core.recommenders import build, cases
from recsae_core.recommenders.fit import FitConfig, fit
from recsae_core.recommenders.ranking import evaluate

from .worlds import cyclic, interactions

N_ITEMS, LENGTH = 20, 10
FIT = FitConfig(epochs=6, batch=16, lr=0.01, patience=6)


def setting(seed=0, users=50, **config):
    train = cases.sequences(cyclic(users, N_ITEMS), LENGTH)
    valid = cases.leave_last_out(cyclic(30, N_ITEMS, seed=1), LENGTH)
    g = torch.Generator().manual_seed(seed)
    model = build("transformer", n_items=N_ITEMS, d=16, layers=1, heads=2, length=LENGTH, generator=g, **config)
    return model, train, valid


def run(config=FIT, *, seed=0, resume=None, **changes):
    model, train, valid = setting(seed, **changes)
    return model, fit(model, train, valid, config, seed=seed, resume=resume, progress=False)


def assert_same(a, b):
    assert a[1].history == b[1].history and a[1].best_epoch == b[1].best_epoch
    for name, weight in a[0].state_dict().items():
        assert torch.equal(weight, b[0].state_dict()[name]), name


def test_it_learns_a_circle_by_heart_and_loses_without_the_order():
    config = FitConfig(epochs=30, batch=32, lr=0.01, warmup=5, decay="cosine", patience=30)
    test = cases.leave_last_out(cyclic(80, N_ITEMS, seed=2), LENGTH)
    model, _ = run(config, users=150)
    ordered = evaluate(model, test)["hr@1"].mean()
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(h) for h in cyclic(150, N_ITEMS).histories()]
    model, _, valid = setting()
    fit(model, cases.sequences(interactions(shuffled, N_ITEMS), LENGTH), valid, config, seed=0, progress=False)
    assert ordered > 0.97 and evaluate(model, test)["hr@1"].mean() < ordered - 0.2


def test_the_best_epoch_is_restored(monkeypatch):
    monkeypatch.setattr(FitConfig, "rate", lambda self, step, steps: 0.01 if step < steps - 8 else 5.0)
    model, report = run(FitConfig(epochs=6, batch=16))  # four steps an epoch: the last two spoil the model
    _, _, valid = setting()
    scores = [row["ndcg@10"] for row in report.history]
    assert report.best_epoch == 1 + int(np.argmax(scores)) <= 4
    assert scores[-1] < max(scores) == evaluate(model, valid)["ndcg@10"].mean()
    assert not model.training


def test_it_stops_when_patience_is_at_an_end():
    _, report = run(FitConfig(epochs=60, batch=16, lr=1e-9, patience=2, evaluate_every=3))
    assert report.best_epoch == 3 and len(report.history) == 9
    assert [row["epoch"] for row in report.history if "ndcg@10" in row] == [3, 6, 9]


def test_a_seed_decides_everything_and_global_state_is_left_alone():
    torch.manual_seed(77)
    before = torch.get_rng_state()
    first = run()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert_same(first, run())
    assert run(seed=1)[1].history != first[1].history


def test_the_order_of_cases_follows_the_seed():
    losses = []
    for seed in (0, 0, 1):
        model, train, valid = setting(dropout=0.0)
        losses.append(
            fit(model, train, valid, FitConfig(epochs=2, batch=16), seed=seed, progress=False).history[1]["loss"]
        )
    assert losses[0] == losses[1] != losses[2]


def test_fewer_validation_users_can_be_asked_for():
    _, report = run(FitConfig(epochs=1, batch=16, valid_users=1))
    assert report.history[0]["recall@10"] in (0.0, 1.0)


CHILD = """
import os, signal, sys
from pathlib import Path
from recsae_core.recommenders import fit
from tests_recommenders.test_fit import run

honest, epochs = fit._Run._steps, 0

def killed(self):
    global epochs
    epochs += 1
    if epochs <= 3:
        return honest(self)
    self.model.loss(self.train, self.g).backward()
    os.kill(os.getpid(), signal.SIGKILL)

fit._Run._steps = killed
run(resume=Path(sys.argv[1]))
"""


def test_killed_and_resumed_it_ends_with_the_same_numbers(tmp_path):
    path = tmp_path / "state.safetensors"
    child = CHILD.replace("tests_recommenders", __package__)
    paths = [str(Path(__file__).parents[__package__.count(".") + 1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "-c", child, path], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with safe_open(path, framework="pt") as file:
        assert len(json.loads(file.metadata()["state"])["history"]) == 3
    resumed = run(resume=path)
    assert_same(resumed, run())
    assert_same(run(resume=path), resumed)  # a finished run is only read


def test_state_of_another_run_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    run(FitConfig(epochs=1, batch=16), resume=path)
    with pytest.raises(ValueError, match="another fit and seed"):
        run(FitConfig(epochs=2, batch=16), seed=1, resume=path)
    with pytest.raises(ValueError, match="another cases and data"):
        run(FitConfig(epochs=1, batch=16), users=49, resume=path)
    with pytest.raises(ValueError, match="another model"):
        run(FitConfig(epochs=1, batch=16), resume=path, dropout=0.3)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"cannot be read .*delete it"):
        run(resume=path)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -1},
        {"batch": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"warmup": -1},
        {"decay": "linear"},
        {"optimiser": "lion"},
        {"patience": 0},
        {"evaluate_every": 0},
        {"valid_users": 0},
        {"weight_decay": -1.0},
        {"weight_decay": float("inf")},
    ],
)
def test_bad_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change)) + "="):
        FitConfig(**change)


def test_a_model_without_a_loss_and_a_loss_that_explodes_are_refused():
    _, train, valid = setting()
    model = build("transformer", n_items=N_ITEMS, d=16, layers=1, heads=2, length=LENGTH)
    with torch.no_grad():
        model.item.weight.fill_(float("inf"))
    with pytest.raises(ValueError, match="loss of epoch 1 is nan"):
        fit(model, train, valid, FIT, seed=0, progress=False)
    with pytest.raises(ValueError, match="MostPopular is not trained by gradient descent"):
        fit(build("most-popular", n_items=N_ITEMS), train, valid, FIT, seed=0, progress=False)


def test_the_rate_warms_up_and_decays():
    config = FitConfig(lr=1.0, warmup=4, decay="cosine")
    rates = [config.rate(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[100] == pytest.approx(0.01)
    assert np.argmax(rates) == 4 and np.all(np.diff(rates[4:]) < 0)
    assert FitConfig(lr=0.5).rate(99, 100) == 0.5


def test_sgd_goes_down_the_gradient_and_resumes(tmp_path):
    once = FitConfig(epochs=1, batch=50, lr=0.5, optimiser="sgd")
    model, train, _ = setting(dropout=0.0)
    model.loss(train, torch.Generator()).backward()
    after, _ = run(once, dropout=0.0)
    for (name, p), q in zip(model.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(q, p - 0.5 * p.grad, msg=name)
    twice = FitConfig(epochs=2, batch=16, lr=0.5, optimiser="sgd")
    path = tmp_path / "state"
    whole = run(twice, resume=path)
    assert_same(whole, run(twice, resume=path))


def test_decay_pulls_at_weights_and_not_at_biases_and_resumes(tmp_path):
    once = FitConfig(epochs=1, batch=50, lr=0.5, optimiser="sgd", weight_decay=0.1)
    model, train, _ = setting(dropout=0.0)
    model.loss(train, torch.Generator()).backward()
    after, _ = run(once, dropout=0.0)
    for (name, p), q in zip(model.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(q, p - 0.5 * (p.grad + 0.1 * p * ("bias" not in name)), msg=name)
    state = tmp_path / "state"
    whole = run(FitConfig(epochs=3, batch=16, weight_decay=0.1), resume=state)
    assert_same(whole, run(FitConfig(epochs=3, batch=16, weight_decay=0.1), resume=state))
    with pytest.raises(ValueError, match="another fit"):
        run(FitConfig(epochs=3, batch=16), resume=state)


def test_a_state_from_before_there_was_decay_goes_on(tmp_path):
    run(resume=tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        assert "weight_decay" not in json.loads(file.metadata()["state"])["key"]["fit"]


def test_no_epoch_leaves_the_model_as_it_was_initialised(tmp_path):
    model, report = run(FitConfig(epochs=0), resume=tmp_path / "state")
    assert report.history == [] and report.best_epoch == 0 and not model.training
    for name, weight in setting()[0].state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
