"""The guide's examples: each runs as it stands and says something, and each keeps the contract that it shows."""

import runpy
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

from recsae_core import recommenders
from recsae_core.interpret import alignment, dictionaries
from recsae_core.sae import SAE, SAEConfig
from recsae_core.sae.base import Dictionary
from recsae_core.sae.sparsifiers import SPARSIFIERS
from recsae_core.sae.terms import Pass

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "book" / "research"
sys.path.insert(0, str(ROOT / "tests" / "recommenders"))
from contract import N_ITEMS, SplitContract  # noqa: E402
from worlds import cyclic  # noqa: E402


def load(name):
    """An example as a module, without what it does as a script."""
    spec = spec_from_file_location(f"research_{name}", EXAMPLES / f"{name}.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """What an example puts into a registry is gone after the test."""
    monkeypatch.setattr(recommenders, "MODELS", dict(recommenders.MODELS))
    before = dict(SPARSIFIERS)
    yield
    SPARSIFIERS.clear()
    SPARSIFIERS.update(before)


def numbers(text, after):
    """The number behind a word in each line that has it."""
    return [float(line.split(after)[1].split()[0].rstrip(",")) for line in text.splitlines() if after in line]


def script(name, capsys):
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_dataset(tmp_path, capsys):
    example = load("dataset")
    example.example(tmp_path / "log.txt")
    inter = example.load(tmp_path / "log.txt")
    assert (np.lexsort((inter.time, inter.user)) == np.arange(len(inter))).all()
    line = (tmp_path / "log.txt").read_text().splitlines()[0]
    when, user, _, rest = line.split(" ", 3)
    title, tags = rest.rstrip("]").split(" [")
    item = inter.items["title"].tolist().index(title)
    row = (inter.user == inter.user_ids.tolist().index(user)) & (inter.item == item)
    assert row.sum() == 1 and inter.time[row] == np.datetime64(when).astype("datetime64[s]").astype(int)
    assert set(tags.split(", ")) == set(np.array(inter.attribute_names)[inter.attributes[item]])
    (tmp_path / "bad.txt").write_text(f"{line}\nnot a line\n")
    with pytest.raises(ValueError, match=r"bad\.txt, line 2: expected TIME USER took ITEM"):
        example.load(tmp_path / "bad.txt")
    popular, knn = numbers(script("dataset", capsys), "NDCG@10")
    assert knn > popular


class TestRecommender(SplitContract):
    """Both laws and all that every recommender of the library must keep."""

    site = pytest.fixture(lambda self: "final")

    @pytest.fixture
    def model(self):
        example = load("recommender")
        return example.PureSVD(example.PureSVDConfig(n_items=N_ITEMS, d=8)).learn(cyclic(60, N_ITEMS))


def test_recommender(capsys):
    svd, popular = numbers(script("recommender", capsys), "NDCG@10")
    assert svd > popular


def test_sparsifier(capsys):
    lowered = load("sparsifier").lowered
    g = torch.Generator().manual_seed(0)
    pre = torch.randn(5, 12, generator=g, dtype=torch.float64)
    z = lowered(pre, 3)
    assert ((z > 0).sum(1) <= 3).all() and (z > 0).any() and torch.equal((z > 0) & (pre <= 0), torch.zeros_like(z) > 0)
    assert torch.autograd.gradcheck(lambda pre: lowered(pre, 3), pre.requires_grad_())
    top = pre.detach().topk(4, dim=1)
    swapped = pre.detach().scatter(1, top.indices[:, 2:3], top.values[:, 3:] - 1e-9)  # a chosen one falls out
    torch.testing.assert_close(lowered(swapped, 3).amin(1), z.amin(1), rtol=0, atol=1e-8)
    at = z.detach().gather(1, top.indices[:, 3:])
    assert (at == 0).all() and (lowered(swapped, 3).gather(1, top.indices[:, 3:]) < 1e-8).all()  # nothing jumps
    said = script("sparsifier", capsys)
    assert all(7 < l0 <= 8.01 for l0 in numbers(said, "L0")) and all(0 < fvu < 0.5 for fvu in numbers(said, "FVU"))


def test_term(capsys):
    example = load("term")
    sae = SAE(SAEConfig(d=4, m=6), torch.Generator().manual_seed(0)).double()
    x = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def value(W):
        sae.W_dec = torch.nn.Parameter(W) if not isinstance(W, torch.nn.Parameter) else W
        pre, z = sae.run(x)
        return example.apart(Pass(x, pre, z, sae.reconstruct(z), torch.zeros(6, dtype=torch.bool), sae, None))

    W = torch.nn.Parameter(sae.W_dec.detach().clone())
    (slope,) = torch.autograd.grad(value(W), W)
    way = torch.randn(W.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    step = 1e-6
    difference = (value(W.detach() + step * way) - value(W.detach() - step * way)) / (2 * step)
    torch.testing.assert_close((slope * way).sum(), difference.detach(), rtol=1e-5, atol=1e-8)
    assert value(torch.eye(4, dtype=torch.float64).repeat(2, 1)[:6]).item() == pytest.approx(
        4 / 6
    )  # two pairs of twins
    near = numbers(script("term", capsys), "cosine")
    assert near == sorted(near, reverse=True) and near[-1] < near[0] / 2


def test_null(capsys):
    shaped = load("null").shaped_random
    g = torch.Generator().manual_seed(0)
    spread = torch.tensor([4.0, 1.0, 0.1, 0.1])
    x = torch.randn(3000, 4, generator=g) * spread + 5
    null = shaped(x, 200, 8.0, g)
    assert isinstance(null, Dictionary) and (null.d, null.m) == (4, 200)
    item, labels = torch.arange(3000) % 30, np.random.default_rng(0).random((30, 3)) < 0.4
    found = alignment.align(null, x, item, labels)
    assert found.fire_rate.sum() == pytest.approx(8, rel=0.02)
    assert null.W_enc[:, 0].abs().median() > 0.8 * null.W_enc.norm(dim=1).median()  # along what varies most
    isotropic = dictionaries.random_relu(x, 200, 8.0, g)
    assert isotropic.W_enc[:, 0].abs().median() < 0.7 * isotropic.W_enc.norm(dim=1).median()
    again = [shaped(x, 20, 4.0, torch.Generator().manual_seed(3)).W_enc for _ in range(2)]
    assert torch.equal(*again)
    sae, *nulls = numbers(script("null", capsys), " r ")
    assert sae > max(nulls) > 0
