import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.recommenders import build
from recsae_core.recommenders.base import Cases
from recsae_core.recommenders.cases import from_lists
from recsae_core.recommenders.softmax import binary_cross_entropy, linear_cross_entropy
from recsae_core.recommenders.transformer import Transformer, TransformerConfig

from .contract import N_ITEMS, SplitContract, assert_first_law, assert_same_scores, ragged

CONFIG = {"n_items": N_ITEMS, "d": 16, "layers": 3, "heads": 2, "length": 12, "dropout": 0.5}


def make(name="transformer", **changes):
    model = build(name, generator=torch.Generator().manual_seed(1), **{**CONFIG, **changes}).eval()
    for p in model.parameters():  # away from the small initial weights, so that every block matters
        p.data += 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
    return model


@pytest.fixture(scope="module", params=["transformer", "sasrec"])
def model(request):
    return make(request.param)


@pytest.fixture(params=["embedding", "block0", "block1", "block2", "final"])
def site(request):
    return request.param


class TestTransformer(SplitContract):
    def test_rows_are_the_real_positions_in_order(self, model, site, cases):
        split = model.before(site, cases)
        assert torch.equal(split.item, cases.history[cases.history >= 0])
        assert torch.equal(split.case, torch.repeat_interleave(torch.arange(len(cases)), cases.length))
        assert torch.equal(split.last.nonzero()[:, 0], cases.length.cumsum(0) - 1)

    def test_the_law_catches_a_finish_that_is_one_position_off(self, model, site, cases, monkeypatch):
        honest = Transformer.before

        def shifted(self, *arguments):
            split = honest(self, *arguments)
            object.__setattr__(split, "finish", lambda h, finish=split.finish: finish(h.roll(1, 0)))
            return split

        monkeypatch.setattr(Transformer, "before", shifted)
        with pytest.raises(AssertionError):
            assert_first_law(model, site, cases)

    def test_rows_see_what_came_before_and_not_what_comes_after(self, model, site):
        short, long = from_lists([[3, 1, 4]]), from_lists([[3, 1, 4, 1, 5]])
        a, b = model.before(site, short).h, model.before(site, long).h
        torch.testing.assert_close(a, b[:3], rtol=1e-5, atol=1e-5)
        other = model.before(site, from_lists([[3, 2, 4]])).h[2]
        assert torch.allclose(a[2], other, atol=1e-3) == (site == "embedding"), "an embedding knows its own item only"

    def test_each_of_the_last_positions_decides_a_list(self, model, site, cases):
        split = model.before(site, cases, torch.tensor([5, 2]), lists=3)
        assert torch.equal(torch.bincount(split.case[split.last]), cases.length.clamp(max=3))
        expected = model(prefixes(cases, 3), torch.tensor([5, 2]))
        torch.testing.assert_close(split.finish(split.h), expected, rtol=1e-5, atol=1e-5)


def prefixes(cases, positions):
    """The histories that end at each of the last positions, in the order of ``tail``."""
    pairs = zip(cases.history.tolist(), cases.length.tolist(), strict=True)
    return from_lists([h[:end] for h, n in pairs for end in range(max(0, n - positions) + 1, n + 1)])


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    layers=st.integers(1, 3),
    positions=st.integers(1, 14),
    kind=st.sampled_from(["transformer", "sasrec"]),
    name=st.sampled_from(["embedding", "block0", "block1", "block2", "final"]),
    seed=st.integers(0, 99),
)
def test_a_row_of_the_tail_is_a_prefix_with_its_last_row_edited(lengths, layers, positions, kind, name, seed):
    g = torch.Generator().manual_seed(seed)
    cases = from_lists([torch.randint(0, N_ITEMS, (t,), generator=g).tolist() for t in lengths])
    model = make(kind, layers=layers).double()
    site = name if name in model.sites else "final"
    split = model.tail(site, cases, positions)
    assert split.last.all() and torch.equal(torch.bincount(split.case), cases.length.clamp(max=positions))
    edited = split.h + torch.randn(split.h.shape, generator=g, dtype=torch.float64)
    whole = model.before(site, prefixes(cases, positions))
    assert torch.equal(split.item, whole.item[whole.last])
    torch.testing.assert_close(split.h, whole.h[whole.last], rtol=1e-6, atol=1e-6)
    assert_same_scores(split.finish(split.h), model(prefixes(cases, positions)))
    changed = whole.h.index_copy(0, whole.last.nonzero()[:, 0], edited)
    assert_same_scores(split.finish(edited), whole.finish(changed))


@pytest.mark.parametrize("kind", ["transformer", "sasrec"])
def test_a_tail_in_single_precision_ranks_as_forward_does(kind):
    model = build(kind, generator=torch.Generator().manual_seed(1), **CONFIG).eval()
    cases = ragged(n=20)
    for site in model.sites:
        split = model.tail(site, cases, 4)
        assert_same_scores(split.finish(split.h), model(prefixes(cases, 4)))


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 11), min_size=1, max_size=5),
    layers=st.integers(1, 3),
    positions=st.integers(1, 14),
    kind=st.sampled_from(["transformer", "sasrec"]),
    seed=st.integers(0, 99),
)
def test_an_appended_item_is_one_item_more(lengths, layers, positions, kind, seed):
    g = torch.Generator().manual_seed(seed)
    cases = from_lists([torch.randint(0, N_ITEMS, (t,), generator=g).tolist() for t in lengths])
    model = make(kind, layers=layers).double()
    item = torch.randint(0, N_ITEMS, (int(cases.length.clamp(max=positions).sum()),), generator=g)
    ends = zip(prefixes(cases, positions).history.tolist(), item.tolist(), strict=True)
    longer = from_lists([[*(i for i in history if i >= 0), new] for history, new in ends])
    assert_same_scores(model.appended(cases, positions, item), model(longer))


def test_appending_wants_room_and_an_item_a_row(model):
    full, short = from_lists([[1] * 12, [2]]), from_lists([[1] * 11, [2]])
    with pytest.raises(ValueError, match="a history has 12 items or more: expected at most 11; read shorter windows"):
        model.appended(full, 1, torch.tensor([3, 3]))
    with pytest.raises(ValueError, match="item has 2 rows: expected 3"):
        model.appended(short, 2, torch.tensor([3, 3]))
    with pytest.raises(ValueError, match=r"items holds ids .* expected 0 to 29"):
        model.appended(short, 1, torch.tensor([3, N_ITEMS]))


@pytest.mark.parametrize("wrong", [0, -1])
def test_at_least_one_position_is_asked_for(model, wrong):
    cases = ragged()
    with pytest.raises(ValueError, match=f"lists={wrong}: expected at least 1"):
        model.before("final", cases, lists=wrong)
    for use in (lambda: model.tail("final", cases, wrong), lambda: model.appended(cases, wrong, torch.tensor([1]))):
        with pytest.raises(ValueError, match=f"positions={wrong}: expected at least 1"):
            use()


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=6),
    site=st.sampled_from(["embedding", "block0", "block2", "final"]),
    seed=st.integers(0, 99),
)
def test_first_law_at_any_lengths(lengths, site, seed):
    g = torch.Generator().manual_seed(seed)
    histories = [torch.randint(0, N_ITEMS, (t,), generator=g).tolist() for t in lengths]
    assert_first_law(make(), site, from_lists(histories))


def test_of_a_long_history_the_last_items_count(model):
    history = list(range(20))
    torch.testing.assert_close(model(from_lists([history])), model(from_lists([history[-12:]])))
    assert torch.equal(model.before("block0", from_lists([history])).item, torch.arange(8, 20))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([[-1, -1]], "case 0 is empty"),
        ([[1, 2], [-1, -1]], "case 1 is empty"),
        ([[1, N_ITEMS]], "expected -1 to 29"),
        ([[1, -2]], "expected -1 to 29"),
        ([[1, 2, 3], [1, -1, 2]], "case 1 has an item after padding"),
    ],
)
def test_bad_histories_are_refused(model, history, message):
    cases = from_lists(history)
    for use in (model, lambda c: model.before("final", c)):
        with pytest.raises(ValueError, match=message):
            use(cases)


@pytest.mark.parametrize(
    "change",
    [
        *({name: 0} for name in ("n_items", "d", "layers", "length")),
        *({"heads": 3}, {"dropout": 1.0}, {"block": "bert"}, {"loss": "bpr"}),
    ],
)
def test_bad_sizes_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change)) + "="):
        TransformerConfig(**{**CONFIG, **change})


def test_loss_is_the_mean_cross_entropy_of_every_next_item():
    model = make()
    cases = ragged(longest=13)
    cases = cases[cases.length >= 2]
    total, count = 0.0, 0
    for history in cases.history:
        history = history[history >= 0].tolist()
        for t in range(1, len(history)):
            total += F.cross_entropy(model(from_lists([history[:t]])), torch.tensor(history[t : t + 1])).item()
            count += 1
    assert model.loss(cases, torch.Generator()).item() == pytest.approx(total / count, rel=1e-5)


def test_loss_needs_a_next_item(model):
    with pytest.raises(ValueError, match="no next item"):
        model.loss(from_lists([[3]]), torch.Generator())


def test_grouping_by_length_changes_neither_loss_nor_gradient(monkeypatch):
    cases, gradients = ragged(n=40, longest=13), []
    for group in (3, 1000):
        monkeypatch.setattr("recsae_core.recommenders.transformer.GROUP", group)
        model = make()
        model.loss(cases, torch.Generator()).backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_dropout_acts_in_training_only():
    model, cases = make(), ragged()
    assert torch.equal(model(cases), model(cases))
    model.train()
    assert not torch.allclose(model(cases), model(cases))


class PointWise(torch.nn.Module):
    """One layer of pmixer's SASRec.pytorch on torch's own attention, with the weights of one of our blocks."""

    def __init__(self, ours):
        super().__init__()
        d = ours.qkv.in_features
        self.ours, self.attention = ours, torch.nn.MultiheadAttention(d, ours.heads, batch_first=True)
        self.attention.in_proj_weight, self.attention.in_proj_bias = ours.qkv.weight, ours.qkv.bias
        self.attention.out_proj = ours.attention_out

    def forward(self, seqs):
        late = torch.ones(seqs.shape[1], seqs.shape[1], dtype=torch.bool).triu(1)
        q = F.layer_norm(seqs, seqs.shape[-1:], self.ours.norm1.weight, self.ours.norm1.bias, 1e-8)
        seqs = q + self.attention(q, seqs, seqs, attn_mask=late)[0]
        seqs = F.layer_norm(seqs, seqs.shape[-1:], self.ours.norm2.weight, self.ours.norm2.bias, 1e-8)
        return seqs + self.ours.ffn_out(F.relu(self.ours.ffn_in(seqs)))


def test_sasrec_is_pmixers():
    model = make("sasrec")
    history = torch.randint(0, N_ITEMS, (4, 9), generator=torch.Generator().manual_seed(0))
    x = model.item(history) * 16**0.5 + model.position(torch.arange(9))
    for block in model.blocks:
        x = PointWise(block)(x)
    x = F.layer_norm(x, (16,), model.norm.weight, model.norm.bias, 1e-8)
    expected = x[:, -1] @ model.item.weight.T
    torch.testing.assert_close(model(Cases(torch.full((4,), -1), history)), expected, rtol=1e-5, atol=1e-5)
    fresh = build("sasrec", generator=torch.Generator().manual_seed(1), **CONFIG)
    assert fresh.item.weight.std().item() == pytest.approx((2 / (N_ITEMS + 16)) ** 0.5, rel=0.1)
    assert fresh.blocks[0].ffn_in.weight.shape == (16, 16) and not fresh.blocks[0].ffn_in.bias.any()


def test_an_older_configuration_means_what_it_meant():
    assert TransformerConfig(**CONFIG) == TransformerConfig(**CONFIG, block="gpt2", loss="ce")


@pytest.mark.parametrize("target", [0, 2, 4])
def test_the_binary_loss_draws_any_item_but_the_next(target):
    g, weight, x = torch.Generator().manual_seed(0), 0.3 * torch.arange(5.0)[:, None], torch.ones(1, 1)
    whole = F.softplus(-weight[target, 0]) + F.softplus(weight[:, 0])  # the score of item i is .3 i: it tells the draw
    losses = torch.stack([binary_cross_entropy(x, weight, torch.tensor([target]), g) for _ in range(200)])
    drawn = (losses[:, None] - whole).abs().min(1)
    assert drawn.values.max() < 1e-6
    share = torch.bincount(drawn.indices, minlength=5) / 200
    assert share[target] == 0 and share[[i for i in range(5) if i != target]].sub(0.25).abs().max() < 0.1
    two = torch.tensor([target, 1])
    assert binary_cross_entropy(x.repeat(2, 1), 0 * weight, two, g).item() == pytest.approx(2 * np.log(2))


def test_the_binary_loss_needs_a_next_item_and_another():
    for n, c in ((0, 5), (1, 1)):
        with pytest.raises(ValueError, match="no next item to predict, or no other"):
            binary_cross_entropy(
                torch.ones(n, 1), torch.ones(c, 1), torch.zeros(n, dtype=torch.long), torch.Generator()
            )


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 30), c=st.integers(1, 9), chunk=st.integers(1, 40), scale=st.sampled_from([0.1, 1.0, 300.0]))
def test_softmax_in_chunks_equals_torch(n, c, chunk, scale):
    g = torch.Generator().manual_seed(n * 100 + c)
    x = (scale * torch.randn(n, 4, generator=g, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(c, 4, generator=g, dtype=torch.float64).requires_grad_()
    target = torch.randint(0, c, (n,), generator=g)
    ours, theirs = linear_cross_entropy(x, weight, target, chunk), F.cross_entropy(x @ weight.T, target)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(*(torch.autograd.grad(3 * loss, (x, weight)) for loss in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)
