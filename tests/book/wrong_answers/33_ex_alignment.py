"""Mistakes that the checks of 33_ex_alignment must name: code in the student's place, and a word of the message."""

WRONG = {
    "3.1": [
        ("r = 0.25", "covariance"),
        ("r = 1 / 3", "square"),
    ],
    "3.2": [
        (
            """
def correlations(z, y):
    with np.errstate(invalid="ignore"):
        return np.corrcoef(z.T, y)[-1, :-1]
""",
            "NaN",
        ),
        (
            """
def correlations(z, y):
    length = np.linalg.norm(z, axis=0)
    return y @ z / np.where(length > 0, length, 1) / np.linalg.norm(y)
""",
            "cosines",
        ),
        (
            """
def correlations(z, y):
    spread = z.std(0) * y.std()
    return (y - y.mean()) @ (z - z.mean(0)) / (len(z) - 1) / np.where(spread > 0, spread, 1)
""",
            "factor",
        ),
    ],
    "3.3": [
        (
            """
def best_by_chance(rows, latents, draws, generator):
    label = generator.random((draws, rows)) < 0.5
    noise = generator.normal(size=(draws, rows, latents))
    return float(np.mean([np.corrcoef(n.T, y)[-1, :-1].mean() for n, y in zip(noise, label)]))
""",
            "mean over latents",
        ),
        (
            """
def best_by_chance(rows, latents, draws, generator):
    label = generator.random((draws, rows)) < 0.5
    noise = generator.normal(size=(draws, rows, latents))
    return float(np.mean([np.abs(np.corrcoef(n.T, y)[-1, :-1]).max() for n, y in zip(noise, label)]))
""",
            "either sign",
        ),
    ],
    "3.4": [
        ("def held_out(chosen, scored): return scored.max(0)", "luck"),
        (
            "def held_out(chosen, scored): return scored[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])]",
            "by size",
        ),
    ],
    "3.5": [
        ("def auc(z, y): return (z[y][:, None] > z[~y]).mean()", "Ties count nothing"),
        ("def auc(z, y): return (z[y][:, None] >= z[~y]).mean()", "in full"),
        ("def auc(z, y): return (z[~y][:, None] > z[y]).mean()", "wrong way round"),
    ],
    "3.6": [
        ("share = 0.1", "equally frequent"),
        ('share = float(attributes[item, names.index("Whale")].mean())', "one item"),
    ],
    "3.7": [
        (
            """
def interval(value, item, draws, generator):
    drawn = generator.integers(len(value), size=(draws, len(value)))
    return np.quantile(value[drawn].mean(1), (0.025, 0.975))
""",
            "Draw items",
        ),
        (
            """
def interval(value, item, draws, generator):
    mean = np.array([value[item == i].mean() for i in np.unique(item)])
    drawn = generator.integers(len(mean), size=(draws, len(mean)))
    return np.quantile(mean[drawn].mean(1), (0.025, 0.975))
""",
            "all its rows",
        ),
    ],
    "3.8": [
        (
            """
known = alignment.align(sae, train.h, train.item, attributes)
has = {name: attributes[item, names.index(name)] for name in names}
fires = {}
for parent, below in children.items():
    on = z[:, known.r[:, names.index(parent)].argmax()] > 0
    for child in below:
        fires[child] = on[has[parent]].mean(), on[has[child]].mean()
""",
            "among the parent's rest",
        ),
        (
            """
known = alignment.align(sae, train.h, train.item, attributes)
has = {name: attributes[item, names.index(name)] for name in names}
fires = {}
for parent, below in children.items():
    on = z[:, known.r[:, names.index(parent)].argmax()] > 0
    for child in below:
        fires[child] = on[has[parent] & ~has[child]].mean(), on[has[child]].mean()
""",
            "another child",
        ),
    ],
}
