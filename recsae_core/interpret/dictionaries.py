"""What an SAE is compared with: neurons, principal and independent axes, random and borrowed directions, no training.

All are ``Dictionary``s and are made in one line from training rows, so that a notebook loops over builders.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from recsae_core.sae.base import Code, Dictionary, check_rows

SAMPLE = 2**23  # entries of a code that are enough to place a threshold and to fit a decoder


class Linear:
    """``z = act((x - shift) @ W_enc.T + bias)`` with ``act`` ReLU or the identity, ``x_hat = z @ W_dec + offset``."""

    def __init__(
        self,
        W_enc: Float[Tensor, "m d"],
        W_dec: Float[Tensor, "m d"],
        *,
        shift: Float[Tensor, "d"],
        offset: Float[Tensor, "d"],
        bias: Float[Tensor, "m"] | None = None,
        relu: bool = False,
    ) -> None:
        self.m, self.d = W_enc.shape
        self.W_enc, self.W_dec, self.shift, self.offset = W_enc, W_dec, shift, offset
        self.bias = W_enc.new_zeros(self.m) if bias is None else bias
        self.relu = relu

    def encode(self, x: Float[Tensor, "n d"]) -> Code:
        """The dense code of each row; signed unless the dictionary has a ReLU."""
        if x.shape[1] != self.d:
            raise ValueError(f"x has {x.shape[1]} columns: expected d={self.d}")
        z = torch.addmm(self.bias, x - self.shift, self.W_enc.T)
        return Code(z.relu_() if self.relu else z, None, self.m)

    def decode(self, z: Code, prefix: int | None = None) -> Float[Tensor, "n d"]:
        """The rows that a code stands for, in the units of the site."""
        if prefix is not None and not 1 <= prefix <= self.m:
            raise ValueError(f"prefix={prefix}: expected 1 <= prefix <= m={self.m}")
        return torch.addmm(self.offset, z.dense()[:, :prefix], self.W_dec[:prefix])


class Thresholded:
    """Another dictionary whose latents are lowered by one threshold and cut at zero; its decoder is untouched."""

    def __init__(self, inner: Dictionary, threshold: float) -> None:
        self.inner, self.threshold = inner, threshold
        self.d, self.m = inner.d, inner.m

    def encode(self, x: Float[Tensor, "n d"]) -> Code:
        """The inner code, each value lowered by the threshold, no value below zero."""
        z = self.inner.encode(x)
        return z._replace(value=(z.value - self.threshold).relu())

    def decode(self, z: Code, prefix: int | None = None) -> Float[Tensor, "n d"]:
        """What the inner dictionary makes of the code."""
        return self.inner.decode(z, prefix)


class Mapped(Linear):
    """Any map from rows to codes, with a linear decoder."""

    def __init__(self, code: Callable[[Tensor], Tensor], W_dec: Tensor, offset: Tensor) -> None:
        super().__init__(W_dec, W_dec, shift=offset, offset=offset)
        self.code = code

    def encode(self, x: Float[Tensor, "n d"]) -> Code:
        """The dense code of each row."""
        check_rows(x, self.d)
        return Code(self.code(x), None, self.m)


def neurons(x: Float[Tensor, "n d"]) -> Linear:
    """The raw dimensions, signed, each beside its negative (m = 2 d); decodes exactly (half of ``z - z_negated``).

    Controls for: what the model's own axes already say. Both signs, for the highest correlation is a signed maximum.
    """
    check_rows(x, x.shape[1])
    return _both_signs(torch.eye(x.shape[1], dtype=x.dtype, device=x.device), x.new_zeros(x.shape[1]))


def pca(x: Float[Tensor, "n d"], components: int | None = None) -> Linear:
    """The principal axes of the rows, signed, each beside its negative (m = 2 components, all where None).

    Controls for: directions of high variance, found without sparsity.
    """
    from sklearn.decomposition import PCA

    found = PCA(_components(x, components), random_state=0).fit(x.double().numpy())
    axes, mean = torch.from_numpy(found.components_).to(x.dtype), torch.from_numpy(found.mean_).to(x.dtype)
    return _both_signs(axes, mean)


def ica(x: Float[Tensor, "n d"], components: int | None = None, rows: int = 10_000) -> Linear:
    """The independent components of the rows, signed, each beside its negative (m = 2 components, all where None).

    scikit-learn's FastICA on at most ``rows`` rows and with at most 200 steps: axes that have not settled by then are
    taken as they are. Latents have variance 1. Controls for: directions along which the rows are least Gaussian,
    which is what sparsity looks for, without more of them than the site is wide.
    """
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    count = _components(x, components)
    sample = x[torch.linspace(0, len(x) - 1, min(rows, len(x))).long()].double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = FastICA(count, whiten="unit-variance", max_iter=200, random_state=0).fit(sample)
    mean, unmixing, mixing = (
        torch.from_numpy(a).to(x.dtype) for a in (found.mean_, found.components_, found.mixing_.T)
    )
    return Linear(torch.cat([unmixing, -unmixing]), torch.cat([mixing, -mixing]) / 2, shift=mean, offset=mean)


def rotation(x: Float[Tensor, "n d"], generator: torch.Generator) -> Linear:
    """A random orthogonal basis about the mean, signed, each axis beside its negative (m = 2 d); decodes exactly.

    Controls for: the choice of axes. What a rotation finds is in the space, not in the basis.
    """
    check_rows(x, x.shape[1])
    return _both_signs(torch.linalg.qr(torch.randn(x.shape[1], x.shape[1], generator=generator))[0].to(x), _mean(x))


def nmf(x: Float[Tensor, "n d"], m: int, rows: int = 10_000) -> Mapped:
    """``m`` non-negative parts, scikit-learn's NMF of at most ``rows`` rows shifted by the minimum of each column.

    A row's code is its ``scipy.optimize.nnls`` solution; below the minimum counts as at it. Controls for: parts that
    only add, as those of a ReLU code do.
    """
    from scipy.optimize import nnls
    from sklearn.decomposition import NMF

    check_rows(x, x.shape[1])
    _check_m(m)
    low, init = x.min(0).values, "nndsvda" if m <= min(x.shape) else "random"
    sample = (x - low)[torch.linspace(0, len(x) - 1, min(rows, len(x))).long()].double().numpy()
    parts = NMF(m, init=init, random_state=0, max_iter=400, tol=1e-3).fit(sample).components_

    def code(h: Tensor) -> Tensor:
        above = (h - low).clamp(min=0).double().numpy()
        return torch.from_numpy(np.array([nnls(parts.T, row)[0] for row in above]).reshape(-1, m)).to(h.dtype)

    return Mapped(code, torch.from_numpy(parts).to(x.dtype), low)


def kmeans(x: Float[Tensor, "n d"], m: int, l0: float | int, generator: torch.Generator) -> Mapped:
    """``m`` k-means centres; ``z = relu(radius - |x - centre|)``, one radius for ``l0`` active latents a row.

    Controls for: grouping rows that lie together, without directions. The decoder is fitted by least squares.
    """
    from sklearn.cluster import KMeans

    check_rows(x, x.shape[1])
    if not 0 < l0 < m <= len(x):
        raise ValueError(f"l0={l0}, m={m}: expected 0 < l0 < m <= {len(x)}, the number of rows")
    seed = int(torch.randint(2**31, (), generator=generator))
    centres = torch.from_numpy(KMeans(m, n_init=4, random_state=seed).fit(x.double().numpy()).cluster_centers_).to(x)
    radius = -_threshold(-torch.cdist(x, centres), l0)
    near = lambda h: (radius - torch.cdist(h, centres)).relu_()  # noqa: E731
    return Mapped(near, *least_squares(near(x), x))


def random_relu(x: Float[Tensor, "n d"], m: int, l0: float | int, generator: torch.Generator) -> Linear:
    """``m`` random unit directions behind a ReLU, at ``l0`` active latents a row.

    Controls for: the number of latents and their sparsity. Many rectified random projections of the same rows
    correlate with anything that is linear in them.
    """
    _check_m(m)
    directions = torch.randn(m, x.shape[1], generator=generator, dtype=x.dtype)
    return thresholded_directions(directions, x, l0, generator)


def data_rows(x: Float[Tensor, "n d"], m: int, l0: float | int, generator: torch.Generator) -> Linear:
    """``m`` random centred training rows as directions behind a ReLU, at ``l0`` active latents a row.

    Controls for: looking where the data lie, without learning anything.
    """
    check_rows(x, x.shape[1])
    _check_m(m)
    if m > len(x):
        raise ValueError(f"m={m}: expected at most {len(x)}, the number of rows")
    chosen = x[torch.randperm(len(x), generator=generator)[:m]] - _mean(x)
    return thresholded_directions(chosen, x, l0, generator)


def item_embeddings(
    embedding: Float[Tensor, "i d"], x: Float[Tensor, "n d"], m: int, l0: float | int, generator: torch.Generator
) -> Linear:
    """Centred item embeddings as directions behind a ReLU, at ``l0`` active latents a row; ``m`` of them drawn.

    Where there are at most ``m`` items all are taken. Controls for: what identifies single items in the rows.
    """
    _check_m(m)
    check_rows(embedding, x.shape[1])
    centred = embedding - _mean(embedding)
    drawn = torch.randperm(len(embedding), generator=generator)[:m].sort().values
    return thresholded_directions(centred[drawn], x, l0, generator)


def untrained(sae: Dictionary, x: Float[Tensor, "n d"], l0: float | int | None = None) -> Thresholded:
    """An SAE as it was initialised, decoder included, lowered by one threshold to ``l0`` active latents a row.

    Where ``l0`` is None the code stays as initialised (a ReLU SAE then fires on about half of its latents).
    Controls for: what the architecture gives without training.
    """
    check_rows(x, sae.d)
    threshold = 0.0
    if l0 is not None:
        rows = _sample(x, sae.m, None)
        with torch.no_grad():
            z = sae.encode(rows).dense()
        native = float((z > 0).sum()) / len(rows)
        if not 0 < l0 <= 1.02 * native:
            raise ValueError(f"l0={l0}: expected 0 < l0 <= {native:.4g}, the active latents a row as initialised")
        threshold = max(0.0, _threshold(z, min(l0, native)))
    return Thresholded(sae, threshold)


def thresholded_directions(
    directions: Float[Tensor, "m d"], x: Float[Tensor, "n d"], l0: float | int, generator: torch.Generator
) -> Linear:
    """Any directions as a ReLU dictionary: scaled to unit length, with ONE threshold for all of them.

    The rows are centred and divided by one standard deviation of all their entries; the threshold is set on
    training rows so that ``l0`` latents a row are active on average (within 2%). The decoder is fitted to the
    training rows by least squares: of all decoders of this code the one that explains most, so that a
    reconstruction does not look bad merely because nobody tried.
    """
    check_rows(x, directions.shape[1])
    m = len(directions)
    if not 0 < l0 < m:
        raise ValueError(f"l0={l0}: expected 0 < l0 < m={m}")
    shift = _mean(x)
    scale = (x - shift).double().square().mean().sqrt().to(x.dtype).clamp(min=1e-12)
    W_enc = F.normalize(directions, dim=1) / scale
    rows = _sample(x, m, generator)
    pre = (rows - shift) @ W_enc.T
    bias = pre.new_full((m,), -_threshold(pre, l0))
    W_dec, offset = least_squares((pre + bias).relu_(), rows)
    return Linear(W_enc, W_dec, shift=shift, offset=offset, bias=bias, relu=True)


def least_squares(z: Float[Tensor, "n m"], y: Float[Tensor, "n j"]) -> tuple[Float[Tensor, "m j"], Float[Tensor, "j"]]:
    """Slopes and intercept of the linear map from ``z`` to ``y``; float64 inside, a ridge of 1e-6 mean variances."""
    mean_z, mean_y = z.mean(0, dtype=torch.float64), y.mean(0, dtype=torch.float64)
    centred, n = z.double() - mean_z, len(z)
    gram = centred.T @ centred / n
    ridge = 1e-6 * gram.diagonal().mean().clamp(min=1e-30)
    gram.diagonal().add_(ridge)
    slope = torch.linalg.solve(gram, centred.T @ (y.double() - mean_y) / n)
    return slope.to(z.dtype), (mean_y - mean_z @ slope).to(z.dtype)


def _both_signs(axes: Float[Tensor, "j d"], mean: Float[Tensor, "d"]) -> Linear:
    signed = torch.cat([axes, -axes])
    return Linear(signed, signed / 2, shift=mean, offset=mean)


def _components(x: Float[Tensor, "n d"], components: int | None) -> int:
    check_rows(x, x.shape[1])
    most = min(x.shape)
    if components is not None and not 1 <= components <= most:
        raise ValueError(f"components={components}: expected 1 <= components <= {most}, the smaller side of x")
    return components or most


def _mean(x: Float[Tensor, "n d"]) -> Float[Tensor, "d"]:
    return x.mean(0, dtype=torch.float64).to(x.dtype)


def _threshold(pre: Float[Tensor, "n m"], l0: float | int) -> float:
    below = min(pre.numel() - round(l0 * len(pre)), pre.numel() - 1)
    place = max(0, below - 1)
    return float(np.partition(pre.flatten().numpy(), place)[place])


def _sample(x: Float[Tensor, "n d"], m: int, generator: torch.Generator | None) -> Float[Tensor, "s d"]:
    most = max(8 * m, 4096, SAMPLE // m)
    if len(x) <= most:
        return x
    rows: Int[Tensor, "s"] = (
        torch.linspace(0, len(x) - 1, most).long()
        if generator is None
        else torch.randperm(len(x), generator=generator)[:most]
    )
    return x[rows]


def _check_m(m: int) -> None:
    if m < 1:
        raise ValueError(f"m={m}: expected at least 1")
