"""Mistakes that the checks of 38_ex_research must name: code in the student's place, and a word of the message."""

QUALITY = """
found = ranking.evaluate(build("most-popular", n_items=train.n_items).learn(train), held)
of_users = found["ndcg@10"]
"""
WRONG = {
    "8.1": [
        (
            QUALITY + 'row = {"value": of_users.mean(), "low": of_users.mean() - 2 * of_users.std(), '
            '"high": of_users.mean() + 2 * of_users.std()}',
            "their mean",
        ),
        (
            QUALITY + 'hit = found["hr@10"].mean()\nrow = {"value": hit, "low": hit - 0.03, "high": hit + 0.03}',
            "lower places",
        ),
        (
            QUALITY
            + 'hits = of_users[of_users > 0].mean()\nrow = {"value": hits, "low": hits - 0.03, "high": hits + 0.03}',
            "misses",
        ),
    ],
    "8.2": [
        (
            """
def p_value(z, item, has, draws, rng):
    def best(label):
        return max(np.corrcoef(column, label)[0, 1] for column in z.T)
    label = has[item].astype(float)
    found = best(label)
    return (1 + sum(best(rng.permutation(label)) >= found for _ in range(draws))) / (1 + draws)
""",
            "not of rows",
        ),
        (
            """
def p_value(z, item, has, draws, rng):
    def r(j, label):
        return np.corrcoef(z[:, j], label[item])[0, 1]
    j = int(np.argmax([r(j, has) for j in range(z.shape[1])]))
    found = r(j, has)
    return (1 + sum(r(j, rng.permutation(has)) >= found for _ in range(draws))) / (1 + draws)
""",
            "best of all latents",
        ),
        (
            """
def p_value(z, item, has, draws, rng):
    def best(label):
        return max(np.corrcoef(column, label[item])[0, 1] for column in z.T)
    found = best(has)
    return np.mean([best(rng.permutation(has)) > found for _ in range(draws)])
""",
            "p of 0",
        ),
    ],
    "8.3": [
        (
            """
def power(effect, n, studies, rng):
    drawn = rng.normal(effect, 1, size=(studies, n))
    return (np.abs(drawn.mean(1)) > 1.96 * drawn.std(1, ddof=1)).mean()
""",
            "standard error",
        ),
        (
            """
def power(effect, n, studies, rng):
    drawn = rng.normal(effect, 1, size=(studies, n))
    return (np.abs(drawn.mean(1)) > 1.96 * drawn.std(1, ddof=1) / np.sqrt(n)).mean()
""",
            "not t",
        ),
        (
            """
from scipy import stats
def power(effect, n, studies, rng):
    drawn = rng.normal(effect, 1, size=(studies, n))
    return (drawn.mean(1) > stats.t.ppf(0.95, n - 1) * drawn.std(1, ddof=1) / np.sqrt(n)).mean()
""",
            "either side",
        ),
    ],
    "8.4": [
        (
            """
def chosen_and_reported(scores, half):
    best = int(scores.mean(1).argmax())
    return best, scores[best, half].mean(), scores[best, ~half].mean()
""",
            "all units",
        ),
        (
            """
def chosen_and_reported(scores, half):
    best = int(scores[:, half].mean(1).argmax())
    return best, scores[best, half].mean(), scores[best, half].mean()
""",
            "flattered",
        ),
    ],
    "8.5": [
        ("def beyond_popularity(z, has, count, bins):\n    return z[has].mean() - z[~has].mean()", "plain"),
        (
            """
def beyond_popularity(z, has, count, bins):
    groups = np.array_split(np.argsort(-count, kind="stable"), bins)
    return np.mean([z[g][has[g]].mean() - z[g][~has[g]].mean() for g in groups if 0 < has[g].sum() < len(g)])
""",
            "Weight",
        ),
        (
            """
def beyond_popularity(z, has, count, bins):
    place = np.minimum(((count - count.min()) * bins / np.ptp(count)).astype(int), bins - 1)
    groups = [np.flatnonzero(place == b) for b in range(bins)]
    groups = [g for g in groups if 0 < has[g].sum() < len(g)]
    weight = [has[g].sum() for g in groups]
    return np.average([z[g][has[g]].mean() - z[g][~has[g]].mean() for g in groups], weights=weight)
""",
            "rank",
        ),
    ],
}
