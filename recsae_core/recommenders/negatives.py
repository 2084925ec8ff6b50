"""Items that a user has not taken, drawn evenly; and the loss that ranks them below those taken."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


class Negatives:
    """Draws for each user of ``users`` [n] with ``items`` [n] from all other items; what is taken twice counts once."""

    def __init__(self, users: Int[Tensor, "n"], items: Int[Tensor, "n"], n_users: int, n_items: int) -> None:
        self.n_items, keys = n_items, torch.unique(users * n_items + items)
        count = torch.bincount(keys // n_items, minlength=n_users)
        if (count >= n_items).any():
            raise ValueError(f"user {int(count.argmax())} took all {n_items} items: expected one left to draw")
        self.start, self.free = count.cumsum(0) - count, n_items - count
        taken_before = torch.arange(len(keys)) - self.start.repeat_interleave(count)
        self.keys = keys - taken_before

    def draw(self, users: Int[Tensor, "n"], k: int, g: torch.Generator) -> Int[Tensor, "n k"]:
        """``k`` items a user, on the CPU."""
        users = users[:, None].cpu()
        place = (torch.rand((len(users), k), generator=g, dtype=torch.float64) * self.free[users]).long()
        # keys say after how many free items each one taken stands: so many of these push the drawn one further on
        return place + torch.searchsorted(self.keys, users * self.n_items + place, right=True) - self.start[users]


def bpr(scores: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Mean of -log s(first - other) over the other columns (Rendle et al. 1205.2618), s the logistic function."""
    return F.softplus(scores[:, 1:] - scores[:, :1]).mean()
