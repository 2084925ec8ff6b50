"""How rows become codes: each sparsifier is one function of the SAE and its centred rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from recsae_core.sae.base import Code
from recsae_core.sae.selected import largest, selected_linear

if TYPE_CHECKING:
    from recsae_core.sae.autoencoder import SAE

# (the SAE, its centred rows [n, d]) -> pre-activations [n, m] and the code
Sparsifier = Callable[["SAE", Tensor], tuple[Tensor, Code]]


def relu(sae: Any, x: Tensor) -> tuple[Tensor, Code]:
    """Positive pre-activations are the latents: a dense code."""
    pre = F.linear(x, sae.encoder, sae.b_enc)
    return pre, Code(pre.relu(), None, sae.m)


def topk(sae: Any, x: Tensor) -> tuple[Tensor, Code]:
    """The ``k`` largest pre-activations of each row, where positive (Gao et al. 2406.04093): a sparse code."""
    pre, value, index = selected_linear(x, sae.encoder, sae.b_enc, lambda pre: largest(pre, sae.config.k))
    return pre, Code(value.relu(), index, sae.m)


SPARSIFIERS: dict[str, Sparsifier] = {"relu": relu, "topk": topk}
