"""Rows whose directions are known."""

import torch
import torch.nn.functional as F

OPTIONS = {"relu": {}, "topk": {"k": 4}, "batchtopk": {"k": 4}, "jumprelu": {"threshold": 0.1, "bandwidth": 0.5}}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def planted(n=4000, d=16, directions=24, share=0.08, noise=0.02, seed=0):
    """Rows and the unit directions of which they are sparse, non-negative sums."""
    g = generator(seed + 1000)  # not the numbers from which an SAE of that seed begins
    truth = F.normalize(torch.randn(directions, d, generator=g), dim=1)
    code = (torch.rand(n, directions, generator=g) < share) * (0.5 + torch.rand(n, directions, generator=g))
    return code @ truth + noise * torch.randn(n, d, generator=g), truth


def recovered(truth, found):
    """Mean over true directions of the largest cosine with a found one."""
    return float((truth @ F.normalize(found, dim=1).T).amax(1).mean())
