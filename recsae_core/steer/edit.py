"""Change latents of some rows of a split, and hand back the rows for ``split.finish``."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.recommenders.base import Split
from recsae_core.sae.base import Code, Dictionary

Dose = float | int | Float[Tensor, "_"]  # one for all edited rows, or one for each
Rule = Callable[[Float[Tensor, "r j"], Float[Tensor, "_ _"]], Float[Tensor, "r j"]]  # chosen latents, doses

RULES: dict[str, Rule] = {
    "set": lambda z, dose: dose.expand_as(z),  # 0 switches a latent off
    "add": lambda z, dose: z + dose,  # in the latent's own units; 0 changes nothing
    "scale": lambda z, dose: z * dose,  # 1 changes nothing, 0 switches a latent off
    "sigma": lambda z, dose: z + dose,  # "add" in standard deviations of each latent, which ``unit`` must give
}
MASS = "mass-preserving"  # a share ``dose`` of the row's activation is spread evenly over the chosen latents
SAMPLE = 2**15  # rows that are enough to tell a latent's standard deviation and its 99th percentile


class Units(NamedTuple):
    """One natural step of each latent, from rows that are not edited: a ``unit`` of ``edit``."""

    sigma: Float[Tensor, "m"]  # standard deviation over all rows
    top: Float[Tensor, "m"]  # 99th percentile of |z| over the rows where z is not 0; 0 where there is none


class Coded(NamedTuple):
    """Rows of a split with their dense code, made once for many edits."""

    at: Int[Tensor, "r"]  # which rows of the split
    z: Code  # dense
    back: Float[Tensor, "r d"]  # what the dictionary makes of the code


@torch.no_grad()
def units(dictionary: Dictionary, x: Float[Tensor, "n d"]) -> Units:
    """The units of all latents, from at most ``SAMPLE`` of the rows."""
    rows = x[torch.linspace(0, len(x) - 1, min(len(x), SAMPLE)).long()]
    z = dictionary.encode(rows).dense()
    sigma, z = z.std(0), z.abs().sort(0).values
    active = (z > 0).sum(0)
    place = (len(z) - 1 - (0.01 * active).long()).clamp(min=0)
    return Units(sigma, z.gather(0, place[None])[0])


def coded(split: Split, dictionary: Dictionary, rows: Bool[Tensor, "_"] | None = None) -> Coded:
    """The code of ``rows`` (those that decide a list, where None), for ``edit(..., code=)``."""
    if split.h.shape[1] != dictionary.d:
        expected = f"expected d={split.h.shape[1]}, the width of the site"
        raise ValueError(f"the dictionary is for d={dictionary.d}: {expected}")
    at = (split.last if rows is None else _mask(rows, len(split.h))).nonzero().squeeze(1)
    h = split.h[at]
    with torch.set_grad_enabled(torch.is_grad_enabled() and h.requires_grad):
        z = dictionary.encode(h)
        z = z.with_dense(z.dense())
        return Coded(at, z, dictionary.decode(z))


def edit(
    split: Split,
    dictionary: Dictionary,
    latents: Sequence[int],
    rule: str | Rule,
    dose: Dose,
    *,
    unit: Float[Tensor, "m"] | None = None,
    rows: Bool[Tensor, "_"] | None = None,
    keep_error: bool = True,
    code: Coded | None = None,
) -> Float[Tensor, "r d"]:
    """The split's rows after a rule has changed latents of ``rows`` (those that decide a list, where None).

    Rules: ``set``, ``add`` and ``scale`` (Klenitskiy et al. 2507.12202), ``sigma`` (Ahmadov and Mansoury 2508.17297)
    and ``mass-preserving`` (Spisak et al. 2601.11182): ``(1 - dose) z``, and the ``dose`` share of ``sum |z|`` spread
    evenly over the chosen latents. The dose is one number or one for each edited row, in multiples of the latents'
    ``unit`` (of ``units``) where that is given.

    With ``keep_error`` an edited row is ``h + decode(z') - decode(z)``, so that what the dictionary fails to
    explain stays and a dose that changes nothing changes no bit; without, it is ``decode(z')``, as in the authors'
    code. Rows that are not edited are returned bit for bit. Differentiable in ``split.h``; a dictionary's own
    parameters take no gradient unless the rows do. ``code``, of ``coded`` with the same split, dictionary and rows,
    saves encoding again. ``ValueError`` names a latent, rule, dose, mask or width that is not possible.
    """
    chosen = _latents(dictionary, latents)
    at, old, back = code or coded(split, dictionary, rows)
    amount = column(dose, len(at), split.h)
    if unit is not None:
        amount = amount * unit[chosen].to(amount)
    elif rule == "sigma":
        raise ValueError("rule 'sigma': expected unit=units(dictionary, rows).sigma")
    h = split.h[at]
    with torch.set_grad_enabled(torch.is_grad_enabled() and h.requires_grad):
        value = _changed(old.value, chosen, rule, amount)
        new = dictionary.decode(old.with_dense(value))
        if keep_error:
            new = torch.where((value != old.value).any(1, keepdim=True), h + (new - back), h)
    return split.h.index_copy(0, at, new)


def column(dose: Dose, n: int, like: Float[Tensor, "..."]) -> Float[Tensor, "_ 1"]:
    """The dose as a column for ``n`` rows; ``ValueError`` where it is not finite or has another length."""
    amount = torch.as_tensor(dose, dtype=like.dtype, device=like.device)
    if amount.ndim > 1 or (amount.ndim == 1 and len(amount) != n):
        raise ValueError(f"dose has shape {tuple(amount.shape)}: expected one number, or {n}, one for each row")
    if not amount.isfinite().all():
        raise ValueError(f"dose={dose}: expected a finite number")
    return amount.reshape(-1, 1)


def _changed(z: Float[Tensor, "r m"], chosen: list[int], rule: str | Rule, dose: Tensor) -> Float[Tensor, "r m"]:
    if rule == MASS:
        if not ((dose >= 0) & (dose <= 1)).all():
            raise ValueError(f"dose from {dose.min():g} to {dose.max():g}: expected 0 to 1, a share of the activation")
        value = z * (1 - dose[:, :1])
        value[:, chosen] += dose * z.abs().sum(1, keepdim=True) / len(chosen)
        return value
    if not callable(rule) and rule not in RULES:
        raise ValueError(f"rule {rule!r}: expected one of {', '.join([*RULES, MASS])}")
    value = z.clone()
    value[:, chosen] = (rule if callable(rule) else RULES[rule])(value[:, chosen], dose)
    return value


def _latents(dictionary: Dictionary, latents: Sequence[int]) -> list[int]:
    chosen = [int(j) for j in latents]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"latents={chosen}: expected at least one latent and each at most once")
    for j in chosen:
        if not 0 <= j < dictionary.m:
            raise ValueError(f"latent {j}: expected 0 <= latent < m={dictionary.m}")
    return chosen


def _mask(rows: Bool[Tensor, "_"], n: int) -> Bool[Tensor, "_"]:
    if rows.dtype != torch.bool or rows.shape != (n,):
        raise ValueError(f"rows is {rows.dtype} of shape {tuple(rows.shape)}: expected a mask of shape ({n},)")
    return rows
