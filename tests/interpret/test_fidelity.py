import pytest
import torch

from recsae_core.data import sources, split
from recsae_core.interpret import dictionaries as di
from recsae_core.interpret.fidelity import Replacement
from recsae_core.recommenders import activations, cases, ranking
from recsae_core.recommenders.transformer import Transformer, TransformerConfig


@pytest.fixture(scope="module")
def lists():
    parts = split.seqrec(sources.load("planted", users=300, items=120, length=25, seed=1))
    config = TransformerConfig(parts.test.n_items, d=8, layers=2, heads=2, length=12)
    model = Transformer(config, torch.Generator().manual_seed(0)).eval()
    model.item.weight.data *= 30
    holdout = cases.leave_last_out(parts.test, 12)
    # the target is what the model itself puts first, so that the untouched model is perfect and a copy can only lose
    scores = model(holdout.cases).detach().scatter(1, holdout.seen.clamp(min=0), -torch.inf)
    holdout = cases.Holdout(holdout.cases, scores.argmax(1), holdout.seen)
    return model, holdout, activations.collect(model, "block0", cases.inputs(parts.sae, 12)).h


def test_an_exact_copy_recovers_everything_and_the_mean_nothing(lists):
    model, holdout, x = lists
    found = Replacement(model, "block0", holdout, x.mean(0))
    assert found.whole == pytest.approx(float(ranking.evaluate(model, holdout)["ndcg@10"].mean()))
    assert found.blank < 0.5 < found.whole
    exact = found.by(di.neurons(x))
    assert exact.recovered == pytest.approx(1, abs=1e-6) and exact.above_mean == pytest.approx(1, abs=1e-6)

    class Mean:
        d, m = 8, 1
        encode = staticmethod(di.neurons(x).encode)

        @staticmethod
        def decode(z, prefix=None):
            return x.mean(0).expand(len(z.value), 8)

    nothing = found.by(Mean)
    assert nothing.above_mean == pytest.approx(0, abs=1e-9) and nothing.ndcg == pytest.approx(found.blank)


def test_a_better_copy_recovers_more(lists):
    model, holdout, x = lists
    found = Replacement(model, "block0", holdout, x.mean(0))
    recovered = [found.by(di.pca(x, components=c)).above_mean for c in (1, 4, 7)]
    assert recovered[0] < recovered[1] < recovered[2] < 1
