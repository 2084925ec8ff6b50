"""Checks of notebooks/36_ex_monosemantic.py: one dictionary for users and items, and what its objective asks for."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recsae_checks import Wrong, exercise, expect
from recsae_core.interpret import purity
from recsae_core.sae import SAE, SAEConfig


def names_of(z: Float[np.ndarray, "n m"], value: Float[np.ndarray, "n a"]) -> Float[np.ndarray, "m a"]:
    """Correlation of every latent with every genre; 0 for a latent that never fires."""
    with np.errstate(invalid="ignore", divide="ignore"):
        every = np.corrcoef(z, value, rowvar=False)
    return np.nan_to_num(every[: z.shape[1], z.shape[1] :])


@exercise("6.1")
def ex_6_1(
    same_name: int,
    z_items: Float[np.ndarray, "i m"],
    z_users: Float[np.ndarray, "u m"],
    attributes: Bool[np.ndarray, "i a"],
    taste: Float[np.ndarray, "u a"],
) -> str:
    """How many latents have the same genre by their items and by their users."""
    by_items, by_users = names_of(z_items, attributes * 1.0), names_of(z_users, taste)
    m, genres = by_items.shape
    expect(not 0 < float(same_name) < 1, "That is a share: how many latents is asked for.")
    expect(float(same_name) == int(same_name) and 0 <= same_name <= m, f"Expected a whole number from 0 to {m}.")
    right = int((by_items.argmax(1) == by_users.argmax(1)).sum())
    other = int((by_items.argmax(0) == by_users.argmax(0)).sum())
    if other != right:
        expect(same_name != other, f"You named each of {genres} genres by a latent: each latent must get a genre.")
    expect(same_name == right, "Another number comes out here. The name is the genre of the highest correlation.")
    return "Look at those that differ: do they fire on few items, or are two genres close to each other?"


@exercise("6.2")
def ex_6_2(prediction_loss: Callable[[Tensor, Tensor, Callable[[Tensor], Tensor]], Tensor]) -> str:
    """The prediction term on rows of users and items with a random head."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(9, 4, generator=g).requires_grad_()
    x_hat = (x.detach() + 0.5 * torch.randn(9, 4, generator=g)).requires_grad_()

    def finish(h: Tensor) -> Tensor:
        return h[:5] @ h[5:].T + 0.7

    loss = prediction_loss(x, x_hat, finish)
    expect(isinstance(loss, Tensor) and loss.ndim == 0, "Expected one number as a tensor, so that it can be minimised.")
    made, target = finish(x_hat), finish(x)
    expect(loss.requires_grad, "The loss has no gradient: the copy must reach it through finish.")
    rows = (x_hat - x).square().sum(1).mean()
    expect(
        not torch.isclose(loss, rows) and not torch.isclose(loss, rows / x.shape[1]),
        "This is the error of the vectors. The recommender plays no part in it: compare what finish says.",
    )
    expect(
        not torch.isclose(loss, (made.sigmoid() - target.sigmoid()).square().mean()),
        "finish returns logits, and you compare probabilities: differences between sure items vanish there.",
    )
    expect(not torch.isclose(loss, (made - target).square().sum()), "A sum grows with the batch: take the mean.")
    expect(
        torch.isclose(loss, (made - target).square().mean()),
        "This is not the mean squared difference of the scores.",
    )
    loss.backward()
    expect(
        x.grad is None or not x.grad.abs().any(),
        "The gradient also flows into the true rows: the target must be a constant, or the goal moves along.",
    )
    expect(x_hat.grad is not None and bool(x_hat.grad.abs().any()), "No gradient reaches the copy.")
    return "The recommender is frozen and still tells the autoencoder which errors matter."


@exercise("6.3")
def ex_6_3(directions: Callable[[Tensor], tuple[Tensor, Tensor]]) -> str:
    """The quietest and the loudest direction of item matrices drawn at random."""
    g = torch.Generator().manual_seed(1)
    Q = (torch.randn(60, 5, generator=g) * torch.tensor([0.3, 2.0, 1.0, 0.6, 1.5])) @ torch.randn(5, 5, generator=g)
    Q = Q + 2 * torch.randn(5, generator=g)
    quiet, loud = (torch.as_tensor(v).detach() for v in directions(Q.clone()))
    expect(quiet.shape == loud.shape == (5,), f"Expected two vectors of width 5, not {tuple(quiet.shape)}.")
    for name, v in (("quiet", quiet), ("loud", loud)):
        expect(
            abs(float(v.norm()) - 1) < 1e-3,
            f"{name} has not length 1: steps of unequal length cannot be compared.",
        )

    def change(v: Tensor) -> float:
        return float((Q @ v).square().mean())

    sizes = torch.linalg.eigvalsh(Q.T @ Q / len(Q))
    expect(change(quiet) <= change(loud), "The quiet direction moves the scores more than the loud one: swap them.")
    centred = torch.linalg.eigh(torch.cov(Q.T)).eigenvectors
    near = abs(float(centred[:, -1] @ loud)) > 0.999 and abs(float(centred[:, 0] @ quiet)) > 0.999
    if near and change(loud) < 0.999 * sizes[-1]:
        raise Wrong(
            "You took the items' mean out: that asks how the order moves. Here the scores themselves are meant."
        )
    expect(
        change(loud) > 0.999 * float(sizes[-1]) and change(quiet) < 1.01 * float(sizes[0]),
        "There are quieter or louder directions. Does the matrix hold them in its rows or columns?",
    )
    return "Two errors of the same length, and the recommender feels one of them several times as much."


def drawn_code(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A sparse code of 80 items, one latent nearly silent and one dead, and a genre of a dozen of them."""
    g = np.random.default_rng(seed)
    z = g.random((80, 7)) * (g.random((80, 7)) > 0.5)
    z[:, 5] = 0
    z[3:6, 6], z[:3, 6], z[6:, 6] = g.random(3) + 0.1, 0, 0
    has = g.random(80) < 0.2
    has[:5] = True
    return z, has


@exercise("6.4")
def ex_6_4(purity_at: Callable[..., np.ndarray]) -> str:
    """Purity of random codes, one of which fires on too few items."""
    for seed in range(3):
        (z, has), k = drawn_code(seed), 10
        got = np.asarray(purity_at(z, has, k), dtype=float)
        expect(got.shape == (7,), f"Expected one purity a latent: shape (7,), not {got.shape}.")
        expect(np.isfinite(got).all(), "A latent without a top item has purity 0: your division gives NaN there.")
        right = purity.purity(purity.top(z, k), has[:, None])[:, 0]
        filled = has[np.argsort(-z, axis=0, kind="stable")[:k]].mean(0)
        expect(
            not (np.allclose(got, filled) and not np.allclose(filled, right)),
            "Where a latent fires on fewer than K items you fill up with items on which it is silent.",
        )
        firing = (purity.top(z, k) >= 0).sum(1)
        own = right * k / np.maximum(firing, 1)
        expect(
            not (np.allclose(got, own) and not np.allclose(own, right)),
            "You divide by the items on which it fires: a latent with one item would be pure. Divide by K.",
        )
        expect(np.allclose(got, right), "This is not the share of the K strongest items that have the genre.")
    return "Now ask what a latent without any meaning would have got."


@exercise("6.5")
def ex_6_5(chance_purity: Callable[..., np.ndarray]) -> str:
    """The null of the highest purity against shuffled labels."""
    z, has = drawn_code(0)
    z, k, draws = np.concatenate([z, np.random.default_rng(9).random((80, 20))], 1), 10, 300
    got = np.asarray(chance_purity(z.copy(), has.copy(), k, draws, np.random.default_rng(4)), dtype=float)
    expect(got.shape == (draws,), f"Expected one number a draw, {draws} of them, not shape {got.shape}.")
    found = purity.top(z, k)
    expect(bool((got >= 0).all() and (got <= 1).all()), "A purity lies between 0 and 1.")
    expect(np.ptp(got) > 0, "All draws are equal: shuffle anew for every one of them.")
    right = purity.permuted_maxima(found, has[:, None], 600, np.random.default_rng(5))[:, 0]
    base = has.mean()
    expect(
        got.mean() > base + 0.25 * (right.mean() - base),
        "Your null is what one latent gets. The claim took the best of all latents: chance may do that, too.",
    )
    expect(
        abs(got.mean() - right.mean()) < 0.04,
        "Its mean is off. Shuffle the labels over the items and keep the code: the same items must stay at the top.",
    )
    expect(abs(np.quantile(got, 0.9) - np.quantile(right, 0.9)) < 0.11, "Its mean is right, and its spread is not.")
    twice = [chance_purity(z, has, k, 50, np.random.default_rng(4)) for _ in range(2)]
    expect(np.array_equal(*twice), "Draw from rng alone: the same seed must give the same null.")
    return "Beside its null a purity becomes a claim."


@exercise("6.6")
def ex_6_6(prefix_error: Callable[[SAE, Tensor, Sequence[int]], Sequence[float]]) -> str:
    """Errors of prefixes of a random autoencoder."""
    g = torch.Generator().manual_seed(2)
    sae, x = SAE(SAEConfig(d=5, m=12), g), torch.randn(30, 5, generator=g)
    sae.prepare(x)
    sae.b_dec.data += torch.randn(5, generator=g)
    lengths = [1, 4, 12]
    got = np.asarray([float(v) for v in prefix_error(sae, x, lengths)])
    expect(got.shape == (3,), f"Expected one error a length, {len(lengths)} of them.")
    with torch.no_grad():
        z = sae.encode(x)
        error = [sae.decode(z, prefix=n) - x for n in lengths]
        bare = [z.dense()[:, :n] @ sae.W_dec[:n] - x for n in lengths]
        order = z.dense().topk(12).indices
        kept = [z.dense() * torch.zeros(30, 12).scatter(1, order[:, :n], 1.0) for n in lengths]
        strong = [sae.decode(z.with_dense(v)) - x for v in kept]
    right, without, by_size = (
        np.array([float(e.square().sum(1).mean()) for e in rows]) for rows in (error, bare, strong)
    )
    expect(
        not np.allclose(got, right / 5), "You averaged over the entries. The error of a row is the sum over its width."
    )
    expect(not np.allclose(got, without), "The decoder's bias is missing: a prefix drops latents and nothing else.")
    expect(
        not np.allclose(got, by_size),
        "You kept the strongest latents of each row. A prefix is the first ones, always the same.",
    )
    expect(
        np.allclose(got, right, rtol=1e-3),
        "This is not the mean squared distance of the rows from what the prefix decodes to.",
    )
    return "In a Matryoshka autoencoder each of these numbers was trained; in a plain one only the last."


@exercise("6.7")
def ex_6_7(level: Callable[[Tensor, float], float], success: Callable[[np.ndarray, np.ndarray, int], float]) -> str:
    """Doses by quantile, and a criterion that no change cannot meet."""
    g = torch.Generator().manual_seed(3)
    z = torch.rand(200, generator=g) * (torch.rand(200, generator=g) > 0.7)
    for q in (1.0, 0.9, 0.5):
        got, right = float(level(z, q)), float(torch.quantile(z[z > 0].double(), q))
        everywhere = float(torch.quantile(z.double(), q))
        expect(
            q == 1 or abs(got - everywhere) > 1e-6,
            "Most rows are silent, and your quantile counts them: take it over the rows on which the latent fires.",
        )
        expect(got <= float(z.max()) + 1e-6, "This value is larger than any row has: the recommender has never met it.")
        expect(abs(got - right) < 0.02, "level is not the quantile of the values above 0.")
    r = np.random.default_rng(3)
    before = r.integers(1, 60, 80)
    expect(
        abs(float(success(before, before, 20))) < 1e-12,
        "No change at all counts as a success: use the same depth before and after.",
    )
    after = np.maximum(1, before - r.integers(-5, 25, 80))
    right = float((after <= 20).mean() - (before <= 20).mean())
    expect(
        abs(float(success(before, after, 20)) - right) < 1e-9,
        "success is not the rise of the share of users who see it.",
    )
    seen = np.where(r.random(80) < 0.25, 0, 1)
    unseen = seen == 1
    right = float((after[unseen] <= 20).mean() - (before[unseen] <= 20).mean())
    got = float(success(before * seen, after * seen, 20))
    expect(
        abs(got - right) < 1e-9,
        "Place 0 stands for users who have the item already: no list can show it to them. Leave them out.",
    )
    return "Users who slip out of the list now count as much as those who come in."
