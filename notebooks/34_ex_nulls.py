# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises: what would have come out anyway
#
# A score says something only beside what a dictionary gets that cannot know. The exercises build such nulls: random
# directions that are as sparse as the autoencoder, genres that are shuffled in two ways, and one of your own. In
# between they count: how many of sixteen tests succeed by luck, and how many shuffles a claim needs. The chapter
# behind them asks [whether anything else would have done as well](05_controls.ipynb).
#
# One star: predict or read a number. Two stars: write a few lines. Three stars: a small piece of research, with a part
# that can be checked. The last cell of each exercise says what is wrong, and never what the answer is.

# %% tags=["hide-input"]
import numpy as np
import torch

from recsae_book import artifacts
from recsae_checks import nulls as check
from recsae_core.interpret import alignment, dictionaries, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.sae import SAE

parts = artifacts.parts("planted")
model = artifacts.get("planted/transformer", seed=0)
sae = artifacts.get("planted/sae-topk", seed=0)
names = list(parts.test.attribute_names)
attributes = parts.test.attributes
length = model.config.length
train, test = (
    activations.collect(model, "block0", cases.inputs(part, length))
    for part in (parts.sae, parts.test)
)


def score(dictionary, genres=attributes):
    """The highest r over latents, mean over genres, on the test rows."""
    found = alignment.align(dictionary, test.h, test.item, genres)
    return alignment.mean_max_correlation(found)


print(f"the autoencoder's score: {score(sae):.3f}")

# %% [markdown]
# `score(dictionary)` is the number of the sequential paper: for each genre the highest correlation over latents, then
# the mean over the genres.
#
# (ex-4-1)=
# ## Exercise 4.1 ★ One in sixteen
#
# There are 16 genres. Suppose that no latent has anything to do with any of them, and that the 16 tests, each at the
# level .05, are independent. With which probability does at least one of them succeed? Give `luck`.

# %% tags=["exercise"]
luck = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
all_sixteen_fail = (1 - 0.05) ** 16
luck = 1 - all_sixteen_fail

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# It is easier to count the case in which nothing happens. More often than not somebody who tests all genres can report
# one, and a paper that shows its best example shows that one.
# ```

# %% tags=["check"]
check.ex_4_1(luck)

# %% [markdown]
# (ex-4-2)=
# ## Exercise 4.2 ★★ As sparse as the other
#
# A dictionary that fires more often has more chances. To compare at equal sparsity, lower all latents by one threshold.
# Write `threshold_for(pre, l0)`: `pre` is a float array `[n, m]`, `l0` a number between 0 and m, not always whole.
# Return one float `t` such that `(pre > t)` holds for `l0` latents a row **on average** (as nearly as `n` rows allow).


# %% tags=["exercise"]
def threshold_for(pre, l0):
    """The threshold above which l0 values a row lie on average."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def threshold_for(pre, l0):
    """The threshold above which l0 values a row lie on average."""
    above = round(l0 * len(pre))
    descending = np.sort(pre, axis=None)[::-1]
    return float(descending[above])


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# One threshold for all latents and rows, found among all values together. Rows may differ: a row with many large values
# keeps many. A threshold a latent would make every latent fire equally often, which no trained dictionary does.
# ```

# %% tags=["check"]
check.ex_4_2(threshold_for)

# %% [markdown]
# (ex-4-3)=
# ## Exercise 4.3 ★★ A dictionary that knows nothing
#
# Write `random_code(x, m, l0, generator)`: `x` is a float array of rows `[n, d]`, `generator` a
# `numpy.random.Generator`. Draw `m` random directions (standard normal, then length 1), project the **centred** rows
# on them, subtract one threshold, and cut at zero, so that `l0` latents a row are active on average. Return the code,
# `[n, m]`.


# %% tags=["exercise"]
def random_code(x, m, l0, generator):
    """Code of random directions behind a ReLU, l0 active latents a row."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def random_code(x, m, l0, generator):
    """Code of random directions behind a ReLU, l0 active latents a row."""
    directions = generator.normal(size=(m, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pre = (x - x.mean(0)) @ directions.T
    ranked = np.sort(pre, axis=None)[::-1]
    return np.maximum(pre - ranked[round(l0 * len(x))], 0)


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Without the centre every direction that points along the mean fires on all rows and every other on none. With it the
# directions are as good as directions can be that were never trained.
# ```

# %% tags=["check"]
check.ex_4_3(random_code)

# %% [markdown]
# (ex-4-4)=
# ## Exercise 4.4 ★ What random directions score
#
# **Guess**: what share of the autoencoder's score do random directions get, as many and as sparse? Then compute
# `by_chance`: the mean score over three random dictionaries, divided by `score(sae)`. Make them with
# `dictionaries.random_relu(train.h, sae.m, sae.config.k, g)`, `g` a `torch.Generator` with the seeds 0 to 2.

# %% tags=["exercise"]
by_chance = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
scores = []
for seed in range(3):
    g = torch.Generator().manual_seed(seed)
    drawn = dictionaries.random_relu(train.h, sae.m, sae.config.k, g)
    scores.append(score(drawn))
by_chance = float(np.mean(scores) / score(sae))
print(f"{by_chance:.2f} of the autoencoder's score")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The recommender's rows hold the genres, more or less linearly, and of some hundred directions one always points near
# each of them. That part of the score belongs to the recommender and to the number of tries. What training the
# autoencoder adds is the rest.
# ```

# %% tags=["check"]
check.ex_4_4(by_chance, sae, train, test, attributes)

# %% [markdown]
# (ex-4-5)=
# ## Exercise 4.5 ★★ Two ways to shuffle
#
# Take the autoencoder's latents and destroy the relation to the genres. Once by shuffling **rows**: the genres of row
# `i` become those of another row. Once by shuffling **items**: the genres of item `i` become those of another item, so
# that all rows of an item still agree. Give `shuffled = {"rows": ..., "items": ...}`, the score of both, each the mean
# over three shuffles.
#
# ```{dropdown} Hint
# For the rows: give every row an item of its own, `alignment.align(sae, test.h, torch.arange(n), genres_of_rows)`.
# ```

# %% tags=["exercise"]
shuffled = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
rng, n = np.random.default_rng(0), len(test.h)
draws = {"rows": [], "items": []}
for _ in range(3):
    new_genres = attributes[rng.permutation(len(attributes))]
    draws["items"].append(score(sae, new_genres))
    genres_of_rows = attributes[test.item.numpy()][rng.permutation(n)]
    free = alignment.align(sae, test.h, torch.arange(n), genres_of_rows)
    draws["rows"].append(alignment.mean_max_correlation(free))
shuffled = {name: float(np.mean(found)) for name, found in draws.items()}
print({name: round(value, 3) for name, value in shuffled.items()})

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A shuffle must keep everything that the claim is not about. Rows of one item are alike whatever its genre, and a
# shuffle of rows destroys that as well: it compares with a world that was never in question, and everything passes.
# ```

# %% tags=["check"]
check.ex_4_5(shuffled, sae, test, attributes)

# %% [markdown]
# (ex-4-6)=
# ## Exercise 4.6 ★★ Sixteen tests, few false ones
#
# Benjamini and Hochberg keep the expected share of false discoveries below `q`. Sort the p-values; find the **largest**
# place `i` (from 1) of `a` with $p_{(i)} \le q\, i / a$; that one and all smaller p-values are discoveries. Write
# `discoveries(p, q)`: a boolean array in the order of `p`.


# %% tags=["exercise"]
def discoveries(p, q):
    """Which p-values are discoveries at a false discovery rate of q."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def discoveries(p, q):
    """Which p-values are discoveries at a false discovery rate of q."""
    p = np.asarray(p)
    ascending = np.sort(p)
    below = ascending <= q * np.arange(1, len(p) + 1) / len(p)
    if not below.any():
        return np.zeros(len(p), dtype=bool)
    return p <= ascending[np.flatnonzero(below).max()]


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The largest place counts: a p-value above its own line is a discovery if a larger one lies below its line. Bonferroni
# asks the first line of all, and guards against a single false one, which costs most of the true ones.
# ```

# %% tags=["check"]
check.ex_4_6(discoveries)

# %% [markdown]
# (ex-4-7)=
# ## Exercise 4.7 ★ How many shuffles?
#
# A p-value from shuffles is $(1 + \text{shuffles that reach the value}) / (1 + \text{shuffles})$. One genre of 16 has a
# perfect latent, the other 15 have nothing (their p-values are large). At least how many shuffles must be drawn before
# Benjamini and Hochberg at q = .05 can discover it? Give `needed`, a whole number.

# %% tags=["exercise"]
needed = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
first_line = 0.05 / 16
needed = 1
while 1 / (1 + needed) > first_line:
    needed += 1
print(needed)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# No shuffle reaches a perfect latent, so that its p-value is one over one more than the number of shuffles. With a
# hundred shuffles this test cannot succeed, whatever the data: it has no power, and "not significant" means nothing.
# ```

# %% tags=["check"]
check.ex_4_7(needed)

# %% [markdown]
# (ex-4-8)=
# ## Exercise 4.8 ★★★ Against the strongest
#
# Below are four dictionaries that learned nothing of genres, at the autoencoder's sparsity where they have one. Compute
# for the autoencoder and for each of them `alignment.held_out_max(found, halves).mean(0)`: one r a genre, chosen on
# half of the items and scored on the other. Then `margin`, an array with one number a genre: the autoencoder's r minus
# the **highest** r among the four.
#
# **Then go on.** For how many genres is the margin positive? Put an interval on each (bootstrap over items: `on_items`
# takes how often each item counts), correct for sixteen tests, and write the sentence that a paper could print. Which
# null is the strongest, and why? Does the sentence change for seeds 1 and 2?

# %% tags=["hide-input"]
g = torch.Generator().manual_seed(0)
x, m, k = train.h, sae.m, sae.config.k
nulls = {
    "neurons": dictionaries.neurons(x),
    "random": dictionaries.random_relu(x, m, k, g),
    "data rows": dictionaries.data_rows(x, m, k, g),
    "untrained": dictionaries.untrained(SAE(sae.config, g).prepare(x), x, k),
}
count = np.bincount(parts.sae.item, minlength=parts.sae.n_items)
halves = statistics.item_halves(count, 5, np.random.default_rng(0))

# %% tags=["exercise"]
margin = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
held_out = {}
for name, dictionary in {"sae": sae, **nulls}.items():
    found = alignment.align(dictionary, test.h, test.item, attributes)
    held_out[name] = alignment.held_out_max(found, halves).mean(0)
    print(f"{name}: {held_out[name].mean():.3f}")
margin = held_out["sae"] - np.max([held_out[name] for name in nulls], axis=0)
print(f"positive for {(margin > 0).sum()} of {len(margin)} genres")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The mean over nulls is no opponent: anybody may choose the best of them. To take the maximum genre by genre is even a
# little unfair to the autoencoder, for the best of four is lucky, too. What survives this is worth a sentence.
# ```

# %% tags=["check"]
check.ex_4_8(margin, sae, nulls, test, attributes, halves)

# %% [markdown]
# (ex-4-9)=
# ## Exercise 4.9 ★★★ A null of your own
#
# Think of a way to get directions that is not in the list and that learns nothing about genres. Which claim would fall
# if it did as well as the autoencoder? Write `own_null(x, m, l0, generator)`: training rows `[n, d]` (a tensor), number
# of latents, active latents a row, a `torch.Generator`. Return a dictionary of this book (`d`, `m`, `encode`, `decode`)
# with `m` latents, `l0` active ones a row within 5%. All randomness comes from the generator.
#
# `dictionaries.thresholded_directions(directions, x, l0, generator)` turns any directions `[m, d]` into one.
#
# **Then go on.** Score it. Before you do, write down what you expect, and what you would conclude from a high score and
# from a low one. If both would leave your opinion as it is, look for another null.


# %% tags=["exercise"]
def own_null(x, m, l0, generator):
    """A dictionary that learns nothing about genres."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def own_null(x, m, l0, generator):
    """Directions from one random row to another: where the rows differ, and nothing else."""
    first, second = torch.randint(len(x), (2, m), generator=generator)
    apart = x[first] - x[second]
    return dictionaries.thresholded_directions(apart, x, l0, generator)


mine = own_null(train.h, m, k, torch.Generator().manual_seed(0))
print(f"directions between rows: {score(mine):.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# If directions between two random rows did as well, the autoencoder would have found nothing but the spread of the rows.
# It is one of many: shuffled weights of the trained encoder (do its lengths matter?), its directions turned by one random
# rotation (does their arrangement matter?), the autoencoder of another seed with another recommender.
# ```

# %% tags=["check"]
check.ex_4_9(own_null, train)
