"""Mistakes that the checks of 34_ex_nulls must name: code in the student's place, and a word of the message.

Some begin from the right answer, whose names are there when they run.
"""

WRONG = {
    "4.1": [
        ("luck = 16 * 0.05", "counts double"),
        ("luck = 0.95**16", "all of them fail"),
    ],
    "4.2": [
        ("def threshold_for(pre, l0): return np.sort(pre, axis=1)[:, -int(np.ceil(l0)) - 1]", "One threshold"),
        ("def threshold_for(pre, l0): return np.quantile(pre, l0 / pre.shape[1])", "below it"),
    ],
    "4.3": [
        (
            """
def random_code(x, m, l0, generator):
    directions = generator.normal(size=(m, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pre = x @ directions.T
    return np.maximum(pre - np.quantile(pre, 1 - l0 / m), 0)
""",
            "centre",
        ),
        (
            """
def random_code(x, m, l0, generator):
    pre = (x - x.mean(0)) @ generator.normal(size=(x.shape[1], m))
    return np.maximum(pre - np.quantile(pre, 1 - l0 / m), 0)
""",
            "length",
        ),
        (
            """
def random_code(x, m, l0, generator):
    directions = generator.normal(size=(m, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.maximum((x - x.mean(0)) @ directions.T, 0)
""",
            "active where",
        ),
    ],
    "4.4": [
        ("by_chance = by_chance * score(sae)", "score itself"),
        ("by_chance = 1 - by_chance", "training adds"),
    ],
    "4.5": [
        ('shuffled = {"rows": shuffled["items"], "items": shuffled["rows"]}', "swapped"),
        ('shuffled = {"rows": shuffled["rows"], "items": score(sae)}', "not shuffled"),
        (
            """
shuffled = {"rows": 0.9 * shuffled["items"], "items": shuffled["items"]}
""",
            "each row is by itself",
        ),
    ],
    "4.6": [
        ("def discoveries(p, q): return np.asarray(p) <= q / len(p)", "Bonferroni"),
        (
            """
def discoveries(p, q):
    order, found = np.argsort(p), np.zeros(len(p), dtype=bool)
    for place, j in enumerate(order, 1):
        if p[j] > q * place / len(p):
            break
        found[j] = True
    return found
""",
            "stopped at the first",
        ),
        ("def discoveries(p, q): return np.asarray(p) <= q", "nothing is corrected"),
    ],
    "4.7": [
        ("needed = 19", "single test"),
        ("needed = 320", "fraction bar"),
        ("needed = 99", "Too few"),
    ],
    "4.8": [
        ('margin = held_out["sae"] - np.mean([held_out[name] for name in nulls], axis=0)', "the mean of the nulls"),
        (
            """
best = {name: alignment.align(d, test.h, test.item, attributes).r.max(0) for name, d in {"sae": sae, **nulls}.items()}
margin = best["sae"] - np.max([best[name] for name in nulls], axis=0)
""",
            "same items",
        ),
    ],
    "4.9": [
        ("def own_null(x, m, l0, generator): return dictionaries.neurons(x)", "latents where"),
        (
            """
def own_null(x, m, l0, generator):
    return dictionaries.thresholded_directions(torch.randn(m, x.shape[1]), x, l0, generator)
""",
            "same generator",
        ),
        (
            """
def own_null(x, m, l0, generator):
    return dictionaries.thresholded_directions(x[:m], x, 2 * l0, generator)
""",
            "active where",
        ),
    ],
}
