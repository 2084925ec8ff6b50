"""Mistakes that the checks of 32_ex_autoencoders must name: code in the student's place, and a word of the message.

Some begin from the right answer, whose names are there when they run.
"""

WRONG = {
    "2.1": [
        ('codes = {"relu": [2, 0, 0.5, 0], "topk": [2, 0, 0.5, -0.2], "l1": 2.5}', "negative"),
        ('codes = {"relu": [2, 0, 0.5, 0], "topk": [2, 0, 0.5, 0], "l1": 3.7}', "not of the pre-activations"),
    ],
    "2.2": [
        (
            """
def top_k(pre, k):
    low = pre.flatten().topk(k * len(pre)).values[-1]
    return torch.where(pre >= low, pre, 0.0).relu()
""",
            "row by row",
        ),
        (
            """
def top_k(pre, k):
    largest = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, largest.indices, largest.values)
""",
            "negative values",
        ),
        (
            """
def top_k(pre, k):
    low = pre.topk(k, dim=1).values[:, -1:]
    return torch.where(pre >= low, pre, 0.0).relu()
""",
            "Ties",
        ),
    ],
    "2.3": [
        ("active = 128", "may use"),
        ("active = int((saes[128].encode(test.h).dense() > 0).any(0).sum())", "some row"),
        ("active = float((saes[128].encode(test.h).dense() > 0).float().mean())", "share of all latents"),
    ],
    "2.4": [
        (
            """
def fvu(x, x_hat, mean):
    return float((x - x_hat).square().sum() / (x - x.mean(0)).square().sum())
""",
            "mean of the rows",
        ),
        (
            """
def fvu(x, x_hat, mean):
    return float(((x - x_hat).square().sum(0) / (x - mean).square().sum(0)).mean())
""",
            "mean of ratios",
        ),
    ],
    "2.5": [
        ("def behind_topk(pre, k, g): return g", "pass everything on"),
        (
            """
def behind_topk(pre, k, g):
    return g * torch.zeros_like(pre).scatter(1, pre.topk(k, dim=1).indices, 1.0)
""",
            "negative",
        ),
    ],
    "2.6": [
        (
            """
def aux_loss(residual, pre, dead, W_dec, k):
    woken = pre.topk(k, dim=1)
    code = torch.zeros_like(pre).scatter(1, woken.indices, woken.values.relu())
    return (residual.detach() - code @ W_dec).square().sum(1).mean()
""",
            "among the dead",
        ),
        (
            """
def aux_loss(residual, pre, dead, W_dec, k):
    woken = pre[:, dead].topk(k, dim=1)
    code = torch.zeros_like(pre[:, dead]).scatter(1, woken.indices, woken.values.relu())
    return (residual - code @ W_dec[dead]).square().sum(1).mean()
""",
            "reaches the residual",
        ),
    ],
    "2.7": [
        ("def disguised(W_enc, b_enc, W_dec, c): return c * W_enc, b_enc, W_dec / c", "bias"),
        ("def disguised(W_enc, b_enc, W_dec, c): return c * W_enc, c * b_enc, c * W_dec", "undo"),
    ],
    "2.8": [
        ("measured = {k: (1 - fvu, f1) for k, (fvu, f1) in measured.items()}", "share explained"),
        (
            "measured = {k: (metrics.reconstruction(saes[k], test.h).fvu, f1) for k, (_, f1) in measured.items()}",
            "test rows",
        ),
    ],
}
