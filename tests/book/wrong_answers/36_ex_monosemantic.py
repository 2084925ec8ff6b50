"""Mistakes that the checks of 36_ex_monosemantic must name: code in the student's place, and a word of the message."""

WRONG = {
    "6.1": [
        ("same_name = 0.5", "share"),
        (
            """
one, two = (np.nan_to_num(np.corrcoef(z.T, v.T)[:80, 80:]) for z, v in ((z_items, attributes), (z_users, taste)))
same_name = int((one.argmax(0) == two.argmax(0)).sum())
""",
            "each latent must get a genre",
        ),
    ],
    "6.2": [
        ("def prediction_loss(x, x_hat, finish):\n    return (x - x_hat).square().mean()", "error of the vectors"),
        (
            "def prediction_loss(x, x_hat, finish):\n    return (finish(x_hat) - finish(x)).square().mean()",
            "true rows",
        ),
        (
            """
def prediction_loss(x, x_hat, finish):
    return (finish(x_hat).sigmoid() - finish(x).detach().sigmoid()).square().mean()
""",
            "logits",
        ),
    ],
    "6.3": [
        (
            """
def directions(Q):
    vectors = torch.linalg.eigh(Q.T @ Q).eigenvectors
    return vectors[:, -1], vectors[:, 0]
""",
            "swap",
        ),
        (
            """
def directions(Q):
    vectors = torch.linalg.eigh(Q.T @ Q).eigenvectors
    return vectors[0], vectors[-1]
""",
            "rows or columns",
        ),
        (
            """
def directions(Q):
    vectors = torch.linalg.eigh(torch.cov(Q.T)).eigenvectors
    return vectors[:, 0], vectors[:, -1]
""",
            "mean out",
        ),
        ("def directions(Q):\n    return Q[Q.norm(dim=1).argmin()], Q[Q.norm(dim=1).argmax()]", "length"),
    ],
    "6.4": [
        ("def purity_at(z, has, k):\n    return has[np.argsort(-z, axis=0, kind='stable')[:k]].mean(0)", "silent"),
        (
            """
def purity_at(z, has, k):
    best = np.argsort(-z, axis=0, kind="stable")[:k]
    fires = np.take_along_axis(z, best, 0) > 0
    return (has[best] & fires).sum(0) / np.maximum(fires.sum(0), 1)
""",
            "Divide by K",
        ),
    ],
    "6.5": [
        (
            """
def chance_purity(z, has, k, draws, rng):
    best = np.argsort(-z, axis=0, kind="stable")[:k]
    fires = np.take_along_axis(z, best, 0) > 0
    return np.array([(rng.permutation(has)[best] & fires).mean(0).mean() for _ in range(draws)])
""",
            "best of all latents",
        ),
        (
            """
def chance_purity(z, has, k, draws, rng):
    best = np.argsort(-z, axis=0, kind="stable")[:k]
    fires, mixed = np.take_along_axis(z, best, 0) > 0, rng.permutation(has)
    return np.full(draws, (mixed[best] & fires).mean(0).max())
""",
            "anew",
        ),
    ],
    "6.6": [
        (
            """
def prefix_error(sae, x, lengths):
    z = sae.encode(x)
    return [float((sae.decode(z, prefix=n) - x).square().mean()) for n in lengths]
""",
            "averaged",
        ),
        (
            """
def prefix_error(sae, x, lengths):
    z = sae.encode(x).dense()
    return [float((z[:, :n] @ sae.W_dec[:n] - x).square().sum(1).mean()) for n in lengths]
""",
            "bias",
        ),
        (
            """
def prefix_error(sae, x, lengths):
    z, out = sae.encode(x), []
    for n in lengths:
        value, at = z.dense().topk(n)
        kept = torch.zeros_like(z.dense()).scatter(1, at, value)
        out.append(float((sae.decode(z.with_dense(kept)) - x).square().sum(1).mean()))
    return out
""",
            "strongest",
        ),
    ],
    "6.7": [
        ("def level(z, q):\n    return float(torch.quantile(z, q))", "silent"),
        ("def level(z, q):\n    return 1.5 * float(torch.quantile(z[z > 0], q))", "any row"),
        (
            "def success(before, after, depth):\n    return float(((before > depth) & (after <= depth + 10)).mean())",
            "No change",
        ),
        (
            "def success(before, after, depth):\n    return float((after <= depth).mean() - (before <= depth).mean())",
            "Leave them out",
        ),
    ],
}
