"""The yardstick for ``bench_steer.py``: steering as one writes it in plain torch, the model run anew for each dose.

The procedure of the authors of 2507.12202: state after the first block at each user's last position, encode, change
one latent, decode, go on, mask what was seen, take the ten best. Nothing of the package is used.
"""

import torch


@torch.no_grad()
def lists_at(model, sae, history, seen, latent, dose, batch=256):
    """The ten best items of every history [n, t] (0 is padding) after ``dose`` was added to a latent."""
    out = []
    for x, taken in zip(history.split(batch), seen.split(batch), strict=True):
        h = model.item(x) + model.position.weight[: x.shape[1]]
        h = model.blocks[0](h)
        row, last = torch.arange(len(x)), (x > 0).sum(1) - 1
        state = h[row, last]
        z = torch.relu((state - sae["b_dec"]) @ sae["W_enc"].T + sae["b_enc"])
        changed = z.clone()
        changed[:, latent] += dose
        h[row, last] = state + (changed - z) @ sae["W_dec"]
        for block in model.blocks[1:]:
            h = block(h)
        scores = model.norm(h[row, last]) @ model.item.weight[1:].T
        out.append(scores.masked_fill(taken, -torch.inf).topk(10).indices)
    return torch.cat(out)
