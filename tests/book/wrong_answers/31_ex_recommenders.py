"""Mistakes that the checks of 31_ex_recommenders must name: code in the student's place, and a word of the message."""

WRONG = {
    "1.1": [
        ("ndcg = float(np.mean(1 / np.log2(np.array([1, 4, 15]) + 1)))", "beyond the cut"),
        ("ndcg = (1 + 1 / np.log2(5)) / 2", "users with a hit"),
    ],
    "1.2": [
        (
            """
def rank_of_target(scores, target, seen):
    return 1 + ((scores > scores.gather(1, target[:, None])) & ~seen).sum(1)
""",
            "Ties",
        ),
        (
            """
def rank_of_target(scores, target, seen):
    return (scores >= scores.gather(1, target[:, None])).sum(1)
""",
            "seen",
        ),
    ],
    "1.3": [
        ("shown = 10 / n_items", "one list for everybody"),
        (
            "shown = len(np.unique(ranking.evaluate("
            "build('most-popular', n_items=n_items).learn(parts.train), held).top[:, :10]))",
            "share",
        ),
    ],
    "1.4": [
        (
            """
def push(p, q, y):
    s = 1 / (1 + np.exp(-p @ q))
    return -y * np.log(s) - (1 - y) * np.log(1 - s), (y - s) * q, (y - s) * p
""",
            "Signs",
        ),
        (
            """
def push(p, q, y):
    s = 1 / (1 + np.exp(-p @ q))
    return -y * np.log(s) - (1 - y) * np.log(1 - s), (s - y) * p, (s - y) * q
""",
            "swapped",
        ),
        (
            """
def push(p, q, y):
    s = 1 / (1 + np.exp(-p @ q))
    return -np.log(s), (s - y) * q, (s - y) * p
""",
            "both of its terms",
        ),
    ],
    "1.5": [
        ("def backwards(history): return history.flip(1)", "fill"),
        ("def backwards(history): return history.sort(1, descending=True).values", "newest"),
    ],
    "1.6": [
        (
            """
def in_two_steps(model, site, asked):
    return model.before(site, asked).h, model(asked)
""",
            "called the model",
        ),
        (
            """
def in_two_steps(model, site, asked):
    stopped = model.before(site, asked)
    return stopped.h[stopped.last], stopped.finish(stopped.h)
""",
            "one row a unit",
        ),
    ],
    "1.7": [
        ("def fold_in(items, taken, l2): return items[taken].mean(0) if taken else np.zeros(items.shape[1])", "mean"),
        (
            """
def fold_in(items, taken, l2):
    return np.linalg.lstsq(items[taken], np.ones(len(taken)), rcond=None)[0]
""",
            "penalty",
        ),
    ],
    "1.8": [
        (
            """
def hit_if_sampled(rank, unseen, drawn, k):
    from scipy.stats import binom
    return float(binom.cdf(k - 1, drawn, (rank - 1) / (unseen - 1)))
""",
            "sample is the whole",
        ),
        (
            """
def hit_if_sampled(rank, unseen, drawn, k):
    return float(rank * drawn / unseen <= k)
""",
            "likelier",
        ),
    ],
    "1.9": [
        (
            """
leak = {}
for name, rows in {"honest": parts.train, "leaky": parts.test}.items():
    scorer = build("ease", n_items=n_items, l2=30.0).learn(rows)
    leak[name] = ranking.evaluate(scorer, held)["ndcg@10"].mean()
""",
            "train belongs to it too",
        ),
        (
            """
leak = {}
for name, rows in {"honest": parts.train, "leaky": with_rows(parts.train, parts.test)}.items():
    scorer = build("ease", n_items=n_items, l2=30.0).learn(rows)
    leak[name] = ranking.evaluate(scorer, held)["hr@10"].mean()
""",
            "hit rate",
        ),
    ],
}
