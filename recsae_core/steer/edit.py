"""Change latents of some rows of a split, and hand back the rows for ``split.finish``."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recsae_core.recommenders.base import Split
from recsae_core.sae.base import Dictionary

Rule = Callable[[Float[Tensor, "r j"], float | int], Float[Tensor, "r j"]]

RULES: dict[str, Rule] = {
    "set": lambda z, dose: torch.full_like(z, dose),  # 0 switches a latent off
    "add": lambda z, dose: z + dose,  # in the latent's own units; 0 changes nothing
    "scale": lambda z, dose: z * dose,  # 1 changes nothing, 0 switches a latent off
}


def edit(
    split: Split,
    dictionary: Dictionary,
    latents: Sequence[int],
    rule: str | Rule,
    dose: float | int,
    *,
    rows: Bool[Tensor, "_"] | None = None,
    keep_error: bool = True,
) -> Float[Tensor, "r d"]:
    """The split's rows after a rule has changed latents of ``rows`` (those that decide a list, where None).

    With ``keep_error`` an edited row is ``h + decode(z') - decode(z)``, so that what the dictionary fails to
    explain stays and a dose that changes nothing changes no bit; without, it is ``decode(z')``, as in Klenitskiy
    et al. 2507.12202 (their code). Rows that are not edited are returned bit for bit. Differentiable in ``split.h``;
    a dictionary's own parameters take no gradient unless the rows do. ``ValueError`` names a latent, rule, dose, mask
    or width that is not possible.
    """
    chosen = _check(split, dictionary, latents, dose)
    change, mask = _rule(rule), split.last if rows is None else _mask(rows, len(split.h))
    at = mask.nonzero().squeeze(1)
    h = split.h[at]
    with torch.set_grad_enabled(torch.is_grad_enabled() and h.requires_grad):
        z = dictionary.encode(h)
        old = z.with_dense(z.dense())
        value = old.value.clone()
        value[:, chosen] = change(value[:, chosen], dose)
        new = dictionary.decode(old.with_dense(value))
        if keep_error:
            touched = (value != old.value).any(1, keepdim=True)
            new = torch.where(touched, h + (new - dictionary.decode(old)), h)
    return split.h.index_copy(0, at, new)


def _check(split: Split, dictionary: Dictionary, latents: Sequence[int], dose: float | int) -> list[int]:
    if split.h.shape[1] != dictionary.d:
        raise ValueError(
            f"the dictionary is for d={dictionary.d}: expected d={split.h.shape[1]}, the width of the site"
        )
    if not math.isfinite(dose):
        raise ValueError(f"dose={dose}: expected a finite number")
    chosen = [int(j) for j in latents]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"latents={chosen}: expected at least one latent and each at most once")
    for j in chosen:
        if not 0 <= j < dictionary.m:
            raise ValueError(f"latent {j}: expected 0 <= latent < m={dictionary.m}")
    return chosen


def _rule(rule: str | Rule) -> Rule:
    if callable(rule):
        return rule
    if rule not in RULES:
        raise ValueError(f"rule {rule!r}: expected one of {', '.join(RULES)}")
    return RULES[rule]


def _mask(rows: Bool[Tensor, "_"], n: int) -> Bool[Tensor, "_"]:
    if rows.dtype != torch.bool or rows.shape != (n,):
        raise ValueError(f"rows is {rows.dtype} of shape {tuple(rows.shape)}: expected a mask of shape ({n},)")
    return rows
