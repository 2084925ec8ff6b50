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
# # Exercises: does a latent mean a genre?
#
# "Latent 85 is the Song latent" is a claim about numbers: a correlation, an area under a curve, an interval. The
# exercises compute each of them, and then find three ways in which the claim comes out too strong: the best of many is
# taken, rows are counted where items decide, and a latent has holes that its score does not show. The chapters behind
# them are [the heat map of latents and genres](04_genre_heatmap.ipynb) and [what it means](08_meaning.ipynb).
#
# One star: predict or read a number. Two stars: write a few lines. Three stars: a small piece of research, with a part
# that can be checked. The last cell of each exercise says what is wrong, and never what the answer is.

# %% tags=["hide-input"]
import numpy as np
import torch

from recsae_book import artifacts
from recsae_checks import alignment as check
from recsae_core.interpret import alignment, statistics
from recsae_core.recommenders import activations, cases

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
item = test.item.numpy()
with torch.no_grad():
    z = sae.encode(test.h).dense().numpy()
print(f"{len(z)} rows, {z.shape[1]} latents, {len(names)} genres,", end=" ")
print(f"{len(attributes)} items")

# %% [markdown]
# `z` holds the latents of the test rows, `item` the item at each row, and `attributes[item]` the genres of that item.
# `train` and `test` are the rows on which the autoencoder was trained and those of other users.
#
# (ex-3-1)=
# ## Exercise 3.1 ★ Pearson's r by hand
#
# On four rows a latent is 0, 0, 2, 2, and the genre is 0, 1, 1, 1. With paper and pencil: what is Pearson's `r`?

# %% tags=["exercise"]
r = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
from_mean_z = np.array([-1.0, -1.0, 1.0, 1.0])
from_mean_y = np.array([-0.75, 0.25, 0.25, 0.25])
together = (from_mean_z * from_mean_y).sum()
r = together / np.sqrt((from_mean_z**2).sum() * (from_mean_y**2).sum())

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Distances from the means, multiplied and summed, over the root of both sums of squares. Doubling the latent changes
# nothing: r says how well a straight line fits, not how strong the latent is.
# ```

# %% tags=["check"]
check.ex_3_1(r)

# %% [markdown]
# (ex-3-2)=
# ## Exercise 3.2 ★★ All latents at once
#
# Write `correlations(z, y)`: `z` is a float array `[n, m]`, one column a latent, `y` a boolean array `[n]` that varies.
# Return Pearson's r of every column with `y`, an array `[m]`. A latent that never fires has no r; call it 0, so that it
# never wins. No loop over columns.


# %% tags=["exercise"]
def correlations(z, y):
    """Pearson's r of every column of z with y."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def correlations(z, y):
    """Pearson's r of every column of z with y."""
    dz, dy = z - z.mean(0), y - y.mean()
    size = np.sqrt((dz**2).sum(0) * (dy**2).sum())
    return np.where(size > 0, dy @ dz / np.where(size > 0, size, 1), 0)


for name in names[:4]:
    found = correlations(z, attributes[item, names.index(name)])
    print(f"{name}: latent {found.argmax()} with r = {found.max():.2f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# One product of a row with a matrix does all columns. Without the means it would be a cosine, which is large for any
# latent that fires everywhere. A division by zero gives NaN, and `argmax` takes NaN for the largest of all.
# ```

# %% tags=["check"]
check.ex_3_2(correlations)

# %% [markdown]
# (ex-3-3)=
# ## Exercise 3.3 ★★★ The best of many
#
# The score of a genre is the highest r over all latents. What does that give where there is nothing to find? Write
# `best_by_chance(rows, latents, draws, generator)`: draw a label (0 or 1, each with probability one half) and `latents`
# columns of standard normal noise for `rows` rows, independent of each other; take the **highest** r; repeat `draws`
# times; return the mean. `generator` is a `numpy.random.Generator`.
#
# **Then go on.** What does it give for as many latents as `z` has, and how does it fall with the number of rows? Now
# shuffle the *items'* genres (`attributes[generator.permutation(len(attributes))]`) and take the highest r of the real
# latents. It is several times as high. Why? How many independent rows does the test set seem to have?


# %% tags=["exercise"]
def best_by_chance(rows, latents, draws, generator):
    """Mean over draws of the highest r of unrelated latents with a label."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def best_by_chance(rows, latents, draws, generator):
    """Mean over draws of the highest r of unrelated latents with a label."""
    best = []
    for _ in range(draws):
        label = generator.random(rows) < 0.5
        noise = generator.normal(size=(rows, latents))
        dn, dl = noise - noise.mean(0), label - label.mean()
        best.append((dl @ dn / np.linalg.norm(dn, axis=0)).max())
        best[-1] /= np.linalg.norm(dl)
    return float(np.mean(best))


rng = np.random.default_rng(0)
for rows in (100, 400, 1600):
    chance = best_by_chance(rows, z.shape[1], 20, rng)
    print(f"{rows} rows: {chance:.3f} by chance")
order = rng.permutation(len(attributes))
shuffled = alignment.align(sae, test.h, test.item, attributes[order])
print(f"genres shuffled over items: {shuffled.r.max(0).mean():.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The highest of m values grows with the logarithm of m and falls with the root of the number of rows. With shuffled
# genres the rows are still those of a few hundred items: a latent that fires on one popular item agrees with any label
# that this item happens to have. The test set has thousands of rows and the evidence of some hundred.
# ```

# %% tags=["check"]
check.ex_3_3(best_by_chance)

# %% [markdown]
# (ex-3-4)=
# ## Exercise 3.4 ★★ Choose here, score there
#
# The remedy: choose the latent on some items and score it on others. `chosen` and `scored` are arrays `[m, a]` of r on
# two disjoint sets of items. Write `held_out(chosen, scored)`: for each attribute, the r in `scored` of the latent that
# has the highest r in `chosen`. An array `[a]`.


# %% tags=["exercise"]
def held_out(chosen, scored):
    """For each attribute the scored r of the latent that was chosen elsewhere."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def held_out(chosen, scored):
    """For each attribute the scored r of the latent that was chosen elsewhere."""
    best = chosen.argmax(0)
    return scored[best, np.arange(scored.shape[1])]


count = np.bincount(parts.sae.item, minlength=parts.sae.n_items)
(half,) = statistics.item_halves(count, 1, np.random.default_rng(0))
every = alignment.align(sae, test.h, test.item, attributes)
there = held_out(every.on_items(half), every.on_items(~half))
print(
    f"same items {every.r.max(0).mean():.3f}, other items {there.mean():.3f}"
)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The luck of the winner stays behind with the items that chose it. What is left is an honest score, a little too low if
# anything, for half of the items chose. The two numbers are close here: most genres are found, not selected.
# ```

# %% tags=["check"]
check.ex_3_4(held_out)

# %% [markdown]
# (ex-3-5)=
# ## Exercise 3.5 ★★ The area under the curve
#
# The ROC AUC is the probability that a latent is larger on a row that has the genre than on one that has not, each
# drawn at random. A tie counts half. Write `auc(z, y)`: `z` a float array `[n]`, mostly zeros as latents are, `y` a
# boolean array `[n]` with both values. Return a float.
#
# ```{dropdown} Hint
# Two loops would do for a few rows. For many, rank all values (`scipy.stats.rankdata`) and sum the ranks of one group.
# ```


# %% tags=["exercise"]
def auc(z, y):
    """Probability that z is larger where y holds; ties count half."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
from scipy.stats import rankdata


def auc(z, y):
    """Probability that z is larger where y holds; ties count half."""
    with_genre, without = y.sum(), (~y).sum()
    wins = rankdata(z)[y].sum() - with_genre * (with_genre + 1) / 2
    return float(wins / (with_genre * without))


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The sum of the ranks counts the rows below each row of the genre. Equal values share the mean of their ranks, which is
# the half point of a tie. A sparse latent is 0 on most rows of both kinds: with ties as losses its AUC would be far
# below one half though it is never wrong where it fires.
# ```

# %% tags=["check"]
check.ex_3_5(auc)

# %% [markdown]
# (ex-3-6)=
# ## Exercise 3.6 ★ Ten whales
#
# Whale is a rare genre: ten items of the world have it. **Guess**: of the test rows whose item is a Whale, which share
# is a single item, the most frequent of them? Then count: `share`.

# %% tags=["exercise"]
share = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
whales = item[attributes[item, names.index("Whale")]]
share = float(np.bincount(whales).max() / len(whales))
print(f"{share:.2f} of {len(whales)} rows")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Popularity is skewed, also within a genre. A latent that knows this one title already finds much of the "genre", and a
# split of rows puts the title on both sides. Split by items, and do not expect much of a genre with ten of them.
# ```

# %% tags=["check"]
check.ex_3_6(share, item, attributes, names)

# %% [markdown]
# (ex-3-7)=
# ## Exercise 3.7 ★★★ How sure, and of what?
#
# The precision of a latent is the mean of a 0 or 1 over the rows on which it fires. The rows of one item are all 0 or
# all 1: they are one observation, not many. Write `interval(value, item, draws, generator)`: `value` float `[n]`, `item`
# integer `[n]`. Draw **items** with replacement, as many as there are different ones; each brings all its rows, as
# often as it is drawn; take the mean over rows. Return `(low, high)`, the 2.5 and 97.5 percentiles over the draws.
#
# **Then go on.** For the best latent of each genre compare this interval with that of a bootstrap over rows. By what
# factor is it wider? For which genres is the difference between two autoencoders larger than the honest interval?


# %% tags=["exercise"]
def interval(value, item, draws, generator):
    """95% interval of the mean over rows, bootstrap over items."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def interval(value, item, draws, generator):
    """95% interval of the mean over rows, bootstrap over items."""
    place = np.unique(item, return_inverse=True)[1]
    rows, sums = np.bincount(place), np.bincount(place, weights=value)
    drawn = generator.integers(len(rows), size=(draws, len(rows)))
    means = sums[drawn].sum(1) / rows[drawn].sum(1)
    return tuple(np.quantile(means, (0.025, 0.975)).tolist())


song = attributes[item, names.index("Song")]
fires = (
    z[
        :,
        alignment.align(sae, train.h, train.item, attributes)
        .r[:, names.index("Song")]
        .argmax(),
    ]
    > 0
)
for name, unit in {"rows": np.arange(len(item)), "items": item}.items():
    low, high = interval(song[fires] * 1.0, unit[fires], 1000, rng)
    print(f"bootstrap over {name}: {low:.3f} to {high:.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The claim is about the genre, so that new items are what could have come out differently. A bootstrap over rows asks
# what other users would have done with the same items, which is another question with a narrower answer.
# ```

# %% tags=["check"]
check.ex_3_7(interval)

# %% [markdown]
# (ex-3-8)=
# ## Exercise 3.8 ★★★ Holes
#
# In this world every Harbour item and every Whale item is a Sea item. Take for each parent genre the latent with the
# highest r on the rows of `train`. On which share of the **test** rows does it fire? Give `fires`, a dictionary from
# each child below to a pair: the share among rows of its parent that have *none of the parent's children*, and the
# share among the rows of that child.
#
# **Then go on.** A latent that skips a whole child genre has a good r and a hole. Where it is silent, which latents fire
# instead, and is any of them the child's own (then the child has *absorbed* its parent)? Is it so for other seeds, and
# for `sae={"k": 1}` or 128? What would a null for "absorbed" look like?

# %% tags=["hide-input"]
children = {
    "Sea": ["Harbour", "Whale"],
    "City": ["Market"],
    "Garden": ["Orchard"],
    "Machine": ["Clockwork"],
    "Mountain": ["Glacier"],
}

# %% tags=["exercise"]
fires = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
known = alignment.align(sae, train.h, train.item, attributes)
has = {name: attributes[item, names.index(name)] for name in names}
fires = {}
for parent, below in children.items():
    on = z[:, known.r[:, names.index(parent)].argmax()] > 0
    alone = has[parent] & ~np.any([has[child] for child in below], axis=0)
    for child in below:
        fires[child] = float(on[alone].mean()), float(on[has[child]].mean())
        print(
            f"{parent}: {fires[child][0]:.2f}; {child}: {fires[child][1]:.2f}"
        )

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Some parents cover their children, some leave one out nearly altogether, and the best latent of one parent is in truth
# that of its child. A sparse code pays for every active latent: if the child's own already says "sea", the parent's can
# be saved. So "the latent of a genre" need not fire on
# all of it, and to switch it off does not switch the genre off.
# ```

# %% tags=["check"]
check.ex_3_8(fires, sae, train, test, attributes, names, children)
