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
# # Exercises: concepts and confidence
#
# The third paper reads a latent by the items that are recommended where it fires, writes a sentence, and tries the
# sentence on new cases. These exercises rebuild each step, and the mistake that each step invites. Its method works
# at every site with one row a list; here it reads the planted transformer's stream at the position that decides.
#
# One star: run and read, or think before you run. Two stars: write a few lines. Three stars: a small piece of
# research with a part that can be checked. The last cell of each exercise says what is wrong, never the answer.

# %% tags=["parameters"]
seed: int = 0  # of transformer and autoencoder
positions: int = 3  # cases a user who writes; more of those who try
shown: int = 5  # cases of a latent that a reader is shown

# %% tags=["hide-input"]
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csc_array

from recsae_book import artifacts
from recsae_checks import concepts as check
from recsae_core.interpret import (
    concepts,
    confidence,
    statistics,
    vocabulary,
)
from recsae_core.recommenders import cases

parts = artifacts.parts("planted")
model = artifacts.get("planted/transformer", seed=seed)
sae = artifacts.get("planted/sae-topk", seed=seed)
attributes = parts.train.attributes
popularity = np.bincount(parts.train.item, minlength=parts.train.n_items)


class Read(NamedTuple):
    """Cases: the code of the vector, the user, and the best unseen items."""

    z: np.ndarray
    user: np.ndarray
    top: np.ndarray


def read(part, positions: int) -> Read:
    """The cases at the last positions of all users of a part."""
    tails = cases.tails(part, model.config.length, positions)
    with torch.no_grad():
        split = model.tail("block0", tails.cases, positions)
        scores = split.finish(split.h).masked_fill(tails.seen, -torch.inf)
        z = sae.encode(split.h).dense().numpy()
    user = tails.cases.user[tails.case].numpy()
    return Read(z, user, scores.topk(60, dim=1).indices.numpy())


writers = read(parts.sae, positions)
triers = read(parts.test, 2 * positions)
z, user, item = writers.z, writers.user, writers.top[:, 0]
print(f"{len(z)} cases of {len(np.unique(user))} users, {sae.m} latents")

# %% [markdown]
# `z` is the code of each case, `[cases, m]`; `user` whose case it is; `item` the item that is recommended first.
#
# (ex-7-1)=
# ## Exercise 7.1 ★ The same item again
#
# A reader is shown the five cases on which a latent is strongest, as in the paper, and says what the five items have in
# common. **Guess first**: how often are two of the five items the same? Then measure `again`: among the latents that
# fire (above 0) on at least `shown` cases, the share of those whose `shown` strongest cases have some item at least
# twice.

# %% tags=["exercise"]
again = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
enough = np.flatnonzero((z > 0).sum(0) >= shown)
strongest = np.argsort(-z[:, enough], axis=0, kind="stable")[:shown]
different = np.array([len(set(item[rows])) for rows in strongest.T])
again = float((different < shown).mean())
print(f"{again:.2f} of {len(enough)} latents")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A recommender says the same few items again and again, and cases that are alike have like vectors, so they fire the
# same latents. Five cases are then far fewer than five pieces of evidence. Neither the paper nor its code asks.
# ```

# %% tags=["check"]
check.ex_7_1(again, z, user, item, shown)

# %% [markdown]
# (ex-7-2)=
# ## Exercise 7.2 ★★ Cases that count
#
# Write `top_cases(z, user, item, n)` for one latent: `z`, `user` and `item` are arrays with one entry a case. Of each
# user only the strongest case counts. Of what is left, of each item only the strongest. Return the row numbers of the
# `n` strongest of these, strongest first, fewer where there are fewer. A case at 0 is none.


# %% tags=["exercise"]
def top_cases(z, user, item, n):
    """Rows of the strongest cases, each user and each item once."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def top_cases(z, user, item, n):
    """Rows of the strongest cases, each user and each item once."""
    rows = np.argsort(-z, kind="stable")
    rows = rows[z[rows] > 0]
    for group in (user, item):
        _, first = np.unique(group[rows], return_index=True)
        rows = rows[np.sort(first)]
    return rows[:n]


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# `np.unique` gives the first place of each value, and the rows are sorted, so the first is the strongest. The cut to
# `n` comes last: whoever cuts first is left with two or three cases.
# ```

# %% tags=["check"]
check.ex_7_2(top_cases)

# %% [markdown]
# (ex-7-3)=
# ## Exercise 7.3 ★★ More often than chance
#
# Of the `of` items of a latent's cases, `count` have a term. In a catalogue of `total` items, `having` have it. Write
# `enrichment(count, of, having, total)`: the probability that as many or more would have it if the items were drawn
# at random, each at most once. (`scipy.stats.hypergeom` knows this distribution.)


# %% tags=["exercise"]
def enrichment(count, of, having, total):
    """P(as many or more items with the term) by drawing without replacement."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def enrichment(count, of, having, total):
    """P(as many or more items with the term) by drawing without replacement."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(count - 1, total, having, of))


j = int(np.bincount(z.argmax(1)).argmax())
by_strength = np.argsort(-z[:, j], kind="stable")
_, first = np.unique(item[by_strength], return_index=True)
its = item[
    by_strength[np.sort(first)[:20]]
]  # the first 20 items of one latent
pd.DataFrame(
    {
        name: {
            "of 20": attributes[its, a].sum(),
            "by chance": 20 * attributes[:, a].mean(),
            "p": enrichment(
                attributes[its, a].sum(), 20, attributes[:, a].sum(), 600
            ),
        }
        for a, name in enumerate(parts.train.attribute_names)
    }
).T.sort_values("p").head(5).round(4)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Two things are still missing. The recommender does not draw from the catalogue: it recommends popular items, so every
# latent is "enriched" in what popular items have. And hundreds of latents are tested with a hundred terms each: one
# test in twenty succeeds by itself. [The notebook on concepts](21_concepts.ipynb) draws items as often as they are
# recommended, and bounds the share of false discoveries.
# ```

# %% tags=["check"]
check.ex_7_3(enrichment)

# %% [markdown]
# (ex-7-4)=
# ## Exercise 7.4 ★★ Why accuracy misleads
#
# A description predicts on which cases a latent is active. Write `balanced(active, predicted)`, two bool arrays: the
# mean of the share of active cases that are predicted and the share of silent cases that are not. Both kinds of cases
# are there. Then compare: what do plain accuracy and yours say of a description that predicts *never active*, for the
# median latent of `z`?


# %% tags=["exercise"]
def balanced(active, predicted):
    """Mean of the true positive and the true negative rate."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def balanced(active, predicted):
    """Mean of the true positive and the true negative rate."""
    return float(
        (predicted[active].mean() + (~predicted[~active]).mean()) / 2
    )


never = np.zeros(len(z), dtype=bool)
alive = np.flatnonzero((z > 0).any(0))
print(f"accuracy {np.median([(~(z[:, j] > 0)).mean() for j in alive]):.3f}")
print(
    f"balanced {np.median([balanced(z[:, j] > 0, never) for j in alive]):.3f}"
)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Sparse means silent nearly everywhere, so saying "never" is nearly always true and says nothing. Balanced accuracy
# gives a constant answer what a coin gets. It does not make the trial hard: with silent cases drawn from anywhere, "a
# popular item" may be enough to tell. That is why this book draws silent cases with equally popular items.
# ```

# %% tags=["check"]
check.ex_7_4(balanced)

# %% [markdown]
# (ex-7-5)=
# ## Exercise 7.5 ★★ How sure are ten cases?
#
# Of `n` cases `k` were predicted rightly. Write `interval(k, n)`: the ends `(low, high)` of Wilson's 95% interval for
# the true share. With $p = k/n$ and $z = 1.96$ it is
#
# $$\frac{p + \frac{z^2}{2n} \pm z\sqrt{\frac{p(1-p)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}} .$$
#
# Then: how many cases, all of them right, does it take before the lower end is above .8?


# %% tags=["exercise"]
def interval(k, n):
    """Wilson's 95% interval for a share."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def interval(k, n):
    """Wilson's 95% interval for a share."""
    p, z = k / n, 1.959964
    centre = p + z**2 / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)


print(next(n for n in range(1, 100) if interval(n, n)[0] > 0.8), "cases")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The usual $p \pm 1.96\,\sqrt{p(1-p)/n}$ has no width at 0 and at 1, where a concept that passes or fails all its few
# trials stands. A "confidence of 1" from five cases is compatible with a coin that is right six times in ten.
# ```

# %% tags=["check"]
check.ex_7_5(interval)

# %% [markdown]
# (ex-7-6)=
# ## Exercise 7.6 ★★ Other users and other items
#
# Write `two_sides(user, item, rng)`: two bool masks over the cases, `(writes, tries)`. No user and no item may have
# cases on both sides. Halve users and items at random with the generator `rng`; a case whose user is on one side and
# whose item is on the other belongs to neither.


# %% tags=["exercise"]
def two_sides(user, item, rng):
    """Cases that write a description, and cases that try it."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def two_sides(user, item, rng):
    """Cases that write a description, and cases that try it."""
    first_user, first_item = (
        rng.permutation(ids.max() + 1)[ids] % 2 == 0 for ids in (user, item)
    )
    return first_user & first_item, ~first_user & ~first_item


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# With other users and the *same* items a description can be a list of items in disguise: "sailors" is right about the
# one sailor film that everybody is shown. With the same users it can be a taste of one person. The price is half of
# the cases.
# ```

# %% tags=["check"]
check.ex_7_6(two_sides)

# %% [markdown]
# ## A trial
#
# For the last exercise here are descriptions of all latents, written by the users who trained the autoencoder on half
# of the items, and trials of other users on the other half, each active case beside a silent one whose item is as
# popular. `scores` says how strongly each description speaks for each item, `[m, items]`; `described` marks the latents
# that have one.

# %% tags=["hide-input"]
words = vocabulary.terms(
    parts.train.items,
    attributes,
    parts.train.attribute_names,
    popularity,
)
(half,) = statistics.item_halves(popularity, 1, np.random.default_rng(0))


def best(top, within):
    """The best recommendation of each case among some items, -1 for none."""
    inside = within[top]
    chosen = np.take_along_axis(top, inside.argmax(1)[:, None], 1)[:, 0]
    return np.where(inside.any(1), chosen, -1)


sides = [
    (csc_array(one.z), one.user, best(one.top, within))
    for one, within in ((writers, half), (triers, ~half))
]
written = concepts.describe(*sides[0], words)
scores = concepts.scores(written, words)
described = np.array([bool(c.text) for c in written])
writing, trying = (
    confidence.trials(*side, popularity, np.random.default_rng(1))
    for side in sides
)
print(f"{described.sum()} of {len(described)} latents have a description")

# %% [markdown]
# (ex-7-7)=
# ## Exercise 7.7 ★★★ The wrong description
#
# How good is a description that belongs to another latent? Write `dealt(scores, described, rng)`: the same scores with
# the rows of the described latents dealt out anew among them, at random, so that none keeps its own. Rows without a
# description stay as they are; the scores passed in must not change.
#
# Then the open part. `confidence.confidence(scores, writing, trying, described)` tries descriptions on the cases;
# `.balanced.value`, `.enough` and `.confident()` say how it went. Compare the dictionary with dealt descriptions: mean
# balanced accuracy over the latents with enough cases, and the number of latents called confident. How many of the
# confident ones would you stake your name on? Which simpler answer than a description would you try next?


# %% tags=["exercise"]
def dealt(scores, described, rng):
    """The scores with every description at another latent."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def dealt(scores, described, rng):
    """The scores with every description at another latent."""
    out, told = scores.copy(), rng.permutation(np.flatnonzero(described))
    out[told] = scores[np.roll(told, 1)]
    return out


rows = {}
for name, given in {
    "own description": scores,
    **{
        f"dealt, seed {s}": dealt(scores, described, np.random.default_rng(s))
        for s in range(3)
    },
}.items():
    found = confidence.confidence(given, writing, trying, described)
    rows[name] = {
        "latents with enough cases": found.enough.sum(),
        "balanced accuracy, mean": found.balanced.value[found.enough].mean(),
        "confident": found.confident().sum(),
    }
pd.DataFrame(rows).T.round(3)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A permutation that is rolled by one place is a random cycle through all of them: nobody keeps their own. The null has
# the same words as often, so what it reaches is what any description of this kind reaches by the thresholds and by
# chance. Report the difference, not the level. The next simpler answers: the item's popularity, and "like the items of
# the cases that wrote", by the recommender's own vectors (see [the notebook on confidence](22_confidence.ipynb)).
# ```

# %% tags=["check"]
check.ex_7_7(dealt)
