"""Mistakes that the checks of 37_ex_concepts must name: code in the student's place, and a word of the message."""

LISTED = """
enough = np.flatnonzero((z > 0).sum(0) >= shown)
strongest = np.argsort(-z[:, enough], axis=0, kind="stable")[:shown]
different = np.array([len(set(item[rows])) for rows in strongest.T])
"""
WRONG = {
    "7.1": [
        (LISTED + "again = float((different < shown).sum() / sae.m)", "all latents"),
        (LISTED + "again = float(np.mean([len(set(user[rows])) < shown for rows in strongest.T]))", "user"),
        (LISTED + "again = float((different < shown).sum())", "share"),
    ],
    "7.2": [
        ("def top_cases(z, user, item, n):\n    return np.argsort(-z, kind='stable')[:n]", "twice"),
        (
            """
def top_cases(z, user, item, n):
    rows = np.argsort(-z, kind="stable")
    rows = rows[z[rows] > 0][:n]
    for group in (user, item):
        rows = rows[np.sort(np.unique(group[rows], return_index=True)[1])]
    return rows
""",
            "cut the list then",
        ),
        (
            """
def top_cases(z, user, item, n):
    rows = np.argsort(z, kind="stable")
    for group in (user, item):
        rows = rows[np.sort(np.unique(group[rows], return_index=True)[1])]
    return rows[:n]
""",
            "silent",
        ),
    ],
    "7.3": [
        (
            """
from scipy import stats
def enrichment(count, of, having, total):
    return stats.hypergeom.sf(count, total, having, of)
""",
            "as many or more",
        ),
        (
            """
from scipy import stats
def enrichment(count, of, having, total):
    return stats.binom.sf(count - 1, of, having / total)
""",
            "without replacement",
        ),
        (
            """
from scipy import stats
def enrichment(count, of, having, total):
    return stats.hypergeom.pmf(count, total, having, of)
""",
            "exactly",
        ),
    ],
    "7.4": [
        ("def balanced(active, predicted):\n    return (active == predicted).mean()", "plain accuracy"),
        (
            """
def balanced(active, predicted):
    hit = (active & predicted).sum()
    return (hit / np.float64(active.sum()) + hit / np.float64(max(predicted.sum(), 1))) / 2
""",
            "coin",
        ),
    ],
    "7.5": [
        (
            """
def interval(k, n):
    p = k / n
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    return p - half, p + half
""",
            "no width",
        ),
        (
            """
def interval(k, n):
    p, z = k / n, 1.6449
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (p + z**2 / (2 * n) - half) / (1 + z**2 / n), (p + z**2 / (2 * n) + half) / (1 + z**2 / n)
""",
            "90%",
        ),
    ],
    "7.6": [
        (
            """
def two_sides(user, item, rng):
    first = rng.permutation(user.max() + 1)[user] % 2 == 0
    return first, ~first
""",
            "An item",
        ),
        (
            """
def two_sides(user, item, rng):
    first = rng.random(len(user)) < 0.5
    return first, ~first
""",
            "A user",
        ),
        (
            """
def two_sides(user, item, rng):
    return (user % 2 == 0) & (item % 2 == 0), (user % 2 == 1) & (item % 2 == 1)
""",
            "at random",
        ),
    ],
    "7.7": [
        (
            """
def dealt(scores, described, rng):
    out, told = scores.copy(), np.flatnonzero(described)
    out[told] = scores[rng.permutation(told)]
    return out
""",
            "its own",
        ),
        ("def dealt(scores, described, rng):\n    return scores[np.roll(rng.permutation(len(scores)), 1)]", "without"),
        (
            """
def dealt(scores, described, rng):
    out, told = scores.copy(), np.flatnonzero(described)
    out[told] = scores[np.roll(told, 1)]
    return out
""",
            "at random",
        ),
    ],
}
