import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsae_core.sae.selected import centred_linear, kth_largest, largest, selected_linear, weighted_rows


def draw(*shape, seed=0, dtype=torch.float64, grad=False):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_(grad)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(1, 80), st.data())
def test_largest_finds_what_topk_finds(n, m, data):
    k, levels = data.draw(st.integers(1, m)), data.draw(st.sampled_from([1, 3, 1000]))
    pre = torch.randint(levels, (n, m), generator=torch.Generator().manual_seed(n * m + k)).float()  # with ties
    index = largest(pre, k)
    assert all(len(set(row)) == k for row in index.tolist())
    assert torch.equal(pre.gather(1, index).sort(1).values, pre.topk(k, dim=1).values.sort(1).values)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 30), st.data())
def test_the_kth_largest_of_all_entries(n, m, data):
    k = data.draw(st.integers(1, n * m))
    pre = torch.randint(50, (n, m), generator=torch.Generator().manual_seed(n * m + k)).float()
    assert kth_largest(pre, k) == pre.flatten().sort(descending=True).values[k - 1]


@pytest.mark.parametrize(("m", "k"), [(12, 5), (64, 3), (63, 3)])
def test_gradients_of_the_selected_entries_are_right_in_float64(m, k):
    leaves = (
        draw(6, 4, grad=True),
        draw(4, seed=3, grad=True),
        draw(m, 4, seed=1, grad=True),
        draw(m, seed=2, grad=True),
    )

    def value(*leaves):
        return selected_linear(*leaves, lambda pre: largest(pre, k))[1]

    def both(*leaves):
        pre, value, _ = selected_linear(*leaves, lambda pre: largest(pre, k))
        return pre.sigmoid().sum() + value.square().sum()

    def only_pre(*leaves):
        return selected_linear(*leaves, lambda pre: largest(pre, k))[0]

    for function in (value, both, only_pre):
        assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("needs_x", [True, False])
def test_gradients_of_the_centred_map_are_right_in_float64(needs_x):
    leaves = (
        draw(6, 4, grad=needs_x),
        draw(4, seed=3, grad=True),
        draw(9, 4, seed=1, grad=True),
        draw(9, seed=2, grad=True),
    )
    assert torch.autograd.gradcheck(centred_linear, leaves)


def test_the_centred_map_is_that_of_centred_rows():
    x, centre, weight, bias = draw(40, 8) + 1e3, draw(8, seed=3) + 1e3, draw(96, 8, seed=1), draw(96, seed=2)
    want = torch.nn.functional.linear(x - centre, weight, bias)
    torch.testing.assert_close(
        centred_linear(*(t.float() for t in (x, centre, weight, bias))), want.float(), rtol=1e-3, atol=3e-3
    )


def test_gradients_of_weighted_rows_are_right_in_float64_with_repeated_and_missing_rows():
    value, weight = draw(5, 3, grad=True), draw(7, 4, seed=1, grad=True)
    index = torch.tensor([[0, 0, 2], [2, 6, 0], [1, 1, 1], [3, 2, 0], [6, 5, 1]])
    assert torch.autograd.gradcheck(lambda v, w: weighted_rows(v, index, w), (value, weight))


def test_more_latents_than_sixteen_bits_count():
    value, weight = draw(2, 3, grad=True), draw(70_000, 2, seed=1, grad=True)
    index = torch.tensor([[0, 69_999, 5], [69_999, 65_536, 1]])
    weighted_rows(value, index, weight).square().sum().backward()
    dense = torch.zeros(2, 70_000, dtype=torch.float64).scatter_add(1, index, value.detach())
    torch.testing.assert_close(weight.grad, dense.T @ (2 * dense @ weight.detach()))


def test_gradient_agrees_with_autograd_through_the_dense_way():
    x, centre, weight, bias = draw(40, 8), draw(8, seed=3), draw(96, 8, seed=1), draw(96, seed=2)
    out = {}
    for way in ("dense", "sparse"):
        leaves = [t.clone().requires_grad_() for t in (x, centre, weight, bias)]
        if way == "sparse":
            _, value, index = selected_linear(*leaves, lambda pre: largest(pre, 6))
            made = weighted_rows(value.relu(), index, leaves[2])
        else:
            pre = torch.nn.functional.linear(leaves[0] - leaves[1], *leaves[2:])
            value, index = pre.topk(6, dim=1)
            made = torch.zeros_like(pre).scatter(1, index, value.relu()) @ leaves[2]
        (made - leaves[0]).square().sum().backward()
        out[way] = [leaf.grad for leaf in leaves]
    for ours, theirs in zip(out["sparse"], out["dense"], strict=True):
        torch.testing.assert_close(ours, theirs)
