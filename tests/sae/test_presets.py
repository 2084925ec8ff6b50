import pytest
import torch
import torch.nn.functional as F

from recsae_core.sae import SAE, Pass, SAEConfig, TrainConfig, presets
from recsae_core.sae.terms import objective


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_makes_an_sae_and_gives_a_source_for_every_value(name):
    preset = presets.load(name)
    sae = SAE(SAEConfig(d=64, **preset.sae), torch.Generator().manual_seed(0))
    assert sae.m == preset.sae["m"]
    assert preset.source.keys() == {f"{s}.{k}" for s, v in presets.values(name).items() for k in v}
    assert all(len(source) > 8 for source in preset.source.values())


def test_the_preset_of_the_ml_1m_notebook_says_what_the_authors_ran():
    preset = presets.load("seqrec-ml-1m")
    assert preset.terms == {"l2": 1.0, "l1": 0.1}
    assert (preset.sae["m"], preset.sae["standardize"], preset.sae["unit_norm"]) == (512, "none", True)
    train = preset.train
    assert isinstance(train, TrainConfig)
    assert (train.rows / train.batch, train.warmup / train.batch, train.lr) == (5000, 100, 1e-3)
    assert (train.sampling, train.clip) == ("replacement", None)


def test_the_preset_of_the_main_configuration_counts_in_rows():
    train = presets.load("seqrec-reference").train
    assert (train.rows / train.batch, train.warmup / train.batch) == (10_000, 1_000)


def test_the_preset_of_the_families_is_the_authors_default_with_its_faults_put_right():
    preset = presets.load("recsae")
    assert (preset.sae["k"], preset.sae["m"], preset.sae["sparsifier"]) == (8, 16 * 64, "topk")
    assert preset.terms == {"fvu": 1.0, "auxk": 1 / 32} and preset.sae["unit_norm"] and not preset.sae["tied"]
    g = torch.Generator().manual_seed(0)
    sae, x = SAE(SAEConfig(d=64, **preset.sae), g), torch.randn(300, 64, generator=g)
    sae.prepare(x)
    dead = torch.arange(sae.m) >= 600
    u = sae.standardized(x)
    pre, z = sae.run(u)
    p = Pass(u, pre, z, sae.reconstruct(z), dead, sae, None)
    left = (p.x - p.x_hat).detach()
    values = {name: term(p).item() for name, (_, term) in objective(preset.terms).items()}
    assert values["fvu"] == pytest.approx((left.square().sum(1).mean() / sae.variance).item(), rel=1e-5)
    best = pre.relu().masked_fill(~dead, 0.0).topk(32, dim=1)
    made = (best.values[..., None] * sae.W_dec[best.indices]).sum(1)
    right, wrong = ((sign * left - made).square().sum(1).mean() / sae.variance for sign in (1, -1))
    assert values["auxk"] == pytest.approx(right.item(), rel=1e-4) and abs(right - wrong) > 1e-3


def test_an_unknown_preset_lists_the_presets():
    with pytest.raises(ValueError, match=f"'nope': expected one of {', '.join(presets.names())}"):
        presets.load("nope")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about: x\nsae: {m: 5}\nterms: {}\ntrain: {}\n", r"sae\.m: expected a value and its source"),
        ("about: x\nsae: {}\n", "has about, sae: expected about, sae, terms, train"),
        ("about: x\nsae: {width: {value: 1, source: s}}\nterms: {}\ntrain: {}\n", "width"),
    ],
)
def test_a_wrong_preset_names_the_key(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    (tmp_path / "mine.yml").write_text(text)
    with pytest.raises(ValueError, match=message):
        presets.load("mine")


def paper_loss(name, beta_of, x, out, pre, finish):
    """The objective as the authors write it: users first, items after them, 256 of each."""
    alpha, lambda1, lambda2, rho, prediction = {
        "mf-ml-1m": (0.1, 0, 0.01, 0.05, "mse"),
        "ncf-ml-1m": (2, 0, 0.07, 0.05, "bce"),
        "mf-lastfm": (8, 0.3, 0.003, 0.1, "mse"),
        "ncf-lastfm": (2.6, 1.2674255898937214e-5, 0.7, 0.05, "probability"),
        "matryoshka-lastfm": (8, 0.3, 0.003, 0.1, "mse"),
    }[name]
    halves = slice(0, 256), slice(256, 512)
    loss = alpha * sum(F.mse_loss(one[half], x[half]) for one in out for half in halves)
    z = pre.relu()
    for half in halves:
        rate = z[half].mean(0).clamp(1e-6, 1 - 1e-6)
        loss = loss + lambda1 * z[half].abs().mean()
        loss = loss + lambda2 * (rho * (rho / rate).log() + (1 - rho) * ((1 - rho) / (1 - rate)).log()).sum()
    y, target = finish(out[-1]), finish(x)
    return (
        loss
        + beta_of
        * {
            "mse": lambda: F.mse_loss(y, target),
            "bce": lambda: F.binary_cross_entropy(y.sigmoid(), target.sigmoid()),
            "probability": lambda: F.mse_loss(y.sigmoid(), target.sigmoid()),
        }[prediction]()
    )


@pytest.mark.parametrize("name", [n for n in presets.names() if n.startswith("monosemantic-")])
def test_the_weights_of_the_monosemantic_presets_give_the_loss_that_the_authors_write(name):
    preset, short = presets.load(name), name.removeprefix("monosemantic-")
    d, (m, betas) = (20, (22, {"mf": 1, "ncf": 10})) if "ml-1m" in name else (100, (70, {"mf": 1, "ncf": 1}))
    if "matryoshka" in name:
        m, betas = 80, {"matryoshka": 5}
    sae = SAE(SAEConfig(d, **preset.sae), torch.Generator().manual_seed(0))
    assert sae.m == m
    x = torch.randn(512, d, generator=torch.Generator().manual_seed(1))
    W, std, mean = sae.W_dec, x.std(1, keepdim=True) + 1e-5, x.mean(1, keepdim=True)
    if short.startswith("ncf"):
        std, mean = 1.0, 0.0
    pre = (x - mean) / std @ W.T  # biases begin at 0
    lengths = [20, 40, 80] if "matryoshka" in name else [m]
    out = [pre.relu()[:, :n] @ W[:n] * std + mean for n in lengths]

    def finish(h):
        return h[:256] @ h[256:].T if preset.terms.get("prediction_mse") else (h[:256] * h[256:]).sum(1, keepdim=True)

    sides = torch.zeros(2, 512)
    sides[0, :256] = sides[1, 256:] = 1 / 256
    found, z = sae.run(x)
    p = Pass(x, found, z, sae.reconstruct(z), torch.zeros(m) > 0, sae, finish, lambda: finish(x), sides)
    ours = sum(weight * term(p) for weight, term in objective(preset.terms).values())
    want = paper_loss(short, betas[short.split("-")[0]], x, out, pre, finish)
    torch.testing.assert_close(ours, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "steps"),
    [("mf-ml-1m", 342), ("ncf-ml-1m", 54_450), ("mf-lastfm", 2_130), ("ncf-lastfm", 2_130), ("matryoshka-lastfm", 270)],
)
def test_the_monosemantic_presets_train_for_as_many_steps_as_the_authors(name, steps):
    train = presets.load(f"monosemantic-{name}").train
    assert train.rows / 512 == pytest.approx(steps, rel=0.01)
    assert (train.lr, train.clip, train.warmup) == (1e-3, None, 0)
