"""The sparse autoencoder: one class; what varies is a configuration."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from recsae_core import storage
from recsae_core.sae.base import Code, check_rows
from recsae_core.sae.selected import weighted_rows
from recsae_core.sae.sparsifiers import SPARSIFIERS
from recsae_core.strict import parse


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class SAEConfig:
    """What an SAE is. Unknown keys and impossible values raise ``ValueError``."""

    d: int  # width of the rows
    m: int  # latents
    sparsifier: str = "relu"  # a name of SPARSIFIERS
    k: int | None = None  # active latents a row, for "topk", or on average, for "batchtopk"
    threshold: float | None = None  # where the thresholds begin, for "jumprelu", in standardised units
    bandwidth: float | None = None  # of the rectangle that smooths its steps, in standardised units
    tied: bool = False  # the encoder is the decoder
    unit_norm: bool = True  # decoder rows have norm 1, kept so while training
    standardize: Literal["none", "scalar", "per_dimension"] = "none"  # "scalar": one mean and std over all entries
    # each row minus its mean, by its std; the decoder puts back the row's own ("restored") or those of training rows
    row_norm: Literal["none", "restored", "averaged"] = "none"
    # encoder: torch's default | a copy of the decoder | as "decoder", which begins as torch's default for the encoder
    init: Literal["linear", "decoder", "transposed"] = "decoder"
    b_dec: Literal["zero", "mean", "none"] = "mean"  # where the bias begins; "mean": of training rows; "none": no bias
    rho: float | None = None  # the share of rows on which terms "kl" and "kl_mean" want each latent active
    prefixes: list[int] | None = None  # lengths for term "prefixes", the last one m

    def __post_init__(self) -> None:
        for name in ("d", "m"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if self.sparsifier not in SPARSIFIERS:
            raise ValueError(f"sparsifier={self.sparsifier!r}: expected one of {', '.join(SPARSIFIERS)}")
        counted = self.sparsifier in ("topk", "batchtopk")
        if counted and not 1 <= (self.k or 0) <= self.m:
            raise ValueError(f"k={self.k}: expected 1 <= k <= m={self.m}")
        for name in ("threshold", "bandwidth"):
            if self.sparsifier == "jumprelu" and not 0 < (getattr(self, name) or 0) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        if self.rho is not None and not 0 < self.rho < 1:
            raise ValueError(f"rho={self.rho}: expected a number between 0 and 1, both excluded")
        if (p := self.prefixes) is not None and (not p or sorted({0, *p}) != [0, *p] or p[-1] != self.m):
            raise ValueError(f"prefixes={p}: expected lengths that increase from 1 or more to m={self.m}")
        if self.row_norm != "none" and self.d == 1:
            raise ValueError(f"row_norm={self.row_norm!r}: expected 'none' with d=1, where rows have no std")
        foreign = {"k": not counted} | dict.fromkeys(("threshold", "bandwidth"), self.sparsifier != "jumprelu")
        for name in foreign:
            if foreign[name] and getattr(self, name) is not None:
                raise ValueError(f"{name}={getattr(self, name)}: expected none with sparsifier={self.sparsifier!r}")


THRESHOLD_ROWS = 20_000  # over which the threshold of "batchtopk" is a running mean


class SAE(nn.Module):
    """``z = sparsify(W_enc (u - b_dec) + b_enc)``, ``u_hat = z W_dec + b_dec``, ``u`` the standardised row.

    With ``row_norm``, ``u`` is shifted and divided by its own mean and std before, and ``u_hat`` the other way after.

    ``encode`` and ``decode`` take and return rows in the units of the site. All that they need is in ``state_dict``.
    """

    def __init__(self, config: SAEConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.d, self.m = config, config.d, config.m
        bound = config.d**-0.5
        direction = torch.randn(self.m, self.d, generator=generator)
        if config.init == "transposed":
            direction.uniform_(-bound, bound, generator=generator)
        whole = config.init == "transposed" and not config.unit_norm
        self.W_dec = nn.Parameter(direction if whole else F.normalize(direction, dim=1))
        self.b_dec = nn.Parameter(torch.zeros(self.d), requires_grad=config.b_dec != "none")
        self.b_enc = nn.Parameter(torch.zeros(self.m))
        if not config.tied:
            linear = torch.empty(self.m, self.d).uniform_(-bound, bound, generator=generator)
            self.W_enc = nn.Parameter(linear if config.init == "linear" else self.W_dec.detach().clone())
        if config.init == "linear":
            self.b_enc.data.uniform_(-bound, bound, generator=generator)
        self.register_buffer("shift", torch.zeros(self.d))  # site units -> standardised: (x - shift) / scale
        self.register_buffer("scale", torch.ones(self.d))
        self.register_buffer("mean", torch.zeros(self.d))  # of the standardised training rows
        self.register_buffer("variance", torch.ones(()))  # their mean squared distance from it, summed over d
        if config.row_norm != "none":
            self.register_buffer("row_mean", torch.zeros(1, 1))  # averages over the standardised training rows
            self.register_buffer("row_std", torch.ones(1, 1))
        self.register_buffer("prepared", torch.zeros((), dtype=torch.bool))
        if config.sparsifier == "batchtopk":
            self.register_buffer("threshold", torch.zeros(()))  # of pre-activations in evaluation mode
            self.register_buffer("threshold_rows", torch.zeros((), dtype=torch.long))  # that it is a mean over
        if config.sparsifier == "jumprelu":
            self.log_threshold = nn.Parameter(torch.full((self.m,), math.log(config.threshold)))

    @property
    def encoder(self) -> Float[Tensor, "m d"]:
        """The encoder's weights: ``W_dec`` itself where the SAE is tied."""
        return self.W_dec if self.config.tied else self.W_enc

    @torch.no_grad()
    def prepare(self, x: Float[Tensor, "n d"]) -> "SAE":
        """Take from rows of the site what training begins with: standardisation, mean, variance, ``b_dec``.

        ``fit`` calls it where nobody has. Statistics are in float64.
        """
        check_rows(x, self.d)
        if len(x) < 2:
            raise ValueError(f"x has {len(x)} rows: expected at least 2")
        mean, std = _moments(x)
        if self.config.standardize == "scalar":
            whole = mean.mean()
            std = (std.square().mean() + (mean - whole).square().mean()).sqrt().expand(self.d)
            mean = whole.expand(self.d)
        if self.config.standardize != "none":
            self.shift.copy_(mean)
            self.scale.copy_(torch.where(std > 1e-6 * std.max(), std, 1.0))  # a constant dimension stays as it is
        u = self.standardized(x[: len(x)])
        u_mean, u_std = _moments(u)
        self.mean.copy_(u_mean)
        self.variance.copy_(u_std.square().sum())
        if not self.variance > 0:
            raise ValueError("all rows are equal: expected rows that differ")
        if self.config.row_norm != "none":
            mean, std = _of_rows(u)
            self.row_mean.fill_(mean.double().mean())
            self.row_std.fill_(std.double().mean())
            u_mean = _moments((u - mean) / std)[0]
        if self.config.b_dec == "mean":
            self.b_dec.copy_(u_mean)
        self.prepared.fill_(True)
        return self

    def standardized(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Rows of the site in the units in which the SAE is trained; ``x`` is not changed."""
        return x if self.config.standardize == "none" else (x - self.shift) / self.scale

    def restored(self, u: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Standardised rows in the units of the site."""
        return u if self.config.standardize == "none" else u * self.scale + self.shift

    def run(self, u: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n m"], Code]:
        """Pre-activations and code of standardised rows."""
        sparsify = SPARSIFIERS[self.config.sparsifier]
        if self.config.row_norm == "none":
            return sparsify(self, u)
        mean, std = _of_rows(u)
        pre, z = sparsify(self, (u - mean) / std)
        return pre, z._replace(norm=(mean, std)) if self.config.row_norm == "restored" else z

    def norm(self, z: Code) -> tuple[Tensor, Tensor] | None:
        """Mean and std that the decoder puts back into each row: the code's own, else the average of training rows."""
        return None if self.config.row_norm == "none" else z.norm or (self.row_mean, self.row_std)

    @torch.no_grad()
    def follow(self, z: Code) -> None:
        """Take the smallest chosen value of a training batch into the threshold of "batchtopk": a running mean.

        It is one over all rows at first and over about the last ``THRESHOLD_ROWS`` later; a batch without a positive
        value leaves it as it is.
        """
        low = F.threshold(z.value, 0.0, torch.inf).min()
        some = torch.isfinite(low)
        self.threshold_rows += len(z.value) * some
        weight = len(z.value) / self.threshold_rows.clamp(min=1, max=max(THRESHOLD_ROWS, len(z.value)))
        self.threshold += weight * torch.where(some, low - self.threshold, 0.0)

    def reconstruct(self, z: Code, prefix: int | None = None) -> Float[Tensor, "n d"]:
        """The standardised rows that a code stands for, from the first ``prefix`` latents where it is given."""
        if z.m != self.m:
            raise ValueError(f"the code has {z.m} latents: expected {self.m}")
        if prefix is not None and not 0 <= prefix <= self.m:
            raise ValueError(f"prefix={prefix}: expected 0 <= prefix <= m={self.m}")
        if z.index is None:
            whole = prefix is None  # a slice of everything would still cost a copy of the gradient
            value, W = (z.value, self.W_dec) if whole else (z.value[:, :prefix], self.W_dec[:prefix])
            return self.rescaled(torch.addmm(self.b_dec, value, W), z)
        value = z.value if prefix is None else z.value * (z.index < prefix)
        return self.rescaled(weighted_rows(value, z.index, self.W_dec) + self.b_dec, z)

    def rescaled(self, v: Float[Tensor, "n d"], z: Code) -> Float[Tensor, "n d"]:
        """What the decoder made of a code, with mean and std of its rows put back."""
        norm = self.norm(z)
        return v if norm is None else torch.addcmul(norm[0], v, norm[1])

    def encode(self, x: Float[Tensor, "n d"]) -> Code:
        """The code of rows of the site; ``ValueError`` where they are not finite floats of width ``d``."""
        check_rows(x, self.d)
        return self.run(self.standardized(x))[1]

    def decode(self, z: Code, prefix: int | None = None) -> Float[Tensor, "n d"]:
        """The rows of the site that a code stands for, from the first ``prefix`` latents only where it is given."""
        return self.restored(self.reconstruct(z, prefix))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The reconstruction of rows of the site."""
        return self.decode(self.encode(x))

    def save(self, folder: Path) -> None:
        """Write weights and configuration to ``folder``, which appears whole or not at all."""
        storage.save(folder, self.state_dict(), {"kind": "sae", "config": asdict(self.config)})

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "SAE":
        """The SAE that ``save`` wrote, in evaluation mode; ``ValueError`` says what is missing or wrong."""
        tensors, stored = storage.load(folder, device)
        if stored.get("kind") != "sae":
            raise ValueError(f"{folder}: holds {stored.get('kind', 'something else')!r}: expected an SAE")
        sae = cls(parse(SAEConfig, stored["config"], str(folder)), torch.Generator().manual_seed(0)).to(device)
        try:
            sae.load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(f"{folder}: the weights do not fit the configuration ({error})") from error
        return sae.eval()


def _of_rows(u: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std of each row, ``[n, 1]``; unbiased, and 1e-5 more than it is (2511.18024, the authors' code)."""
    mean = u.mean(1, keepdim=True)
    square = (u - mean).square_().sum(1, keepdim=True)  # a quarter of the time that torch.std_mean takes
    return mean, square.div_(u.shape[1] - 1).sqrt_().add_(1e-5)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension in float64, without a float64 copy of all rows."""
    chunks = x.split(65536)
    mean = sum(chunk.double().sum(0) for chunk in chunks) / len(x)
    square = sum((chunk.double() - mean).square().sum(0) for chunk in chunks) / len(x)
    return mean, square.sqrt()
