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
# # The data: who took what, and when
#
# Everything in this book starts from one table: *this user took this item at this moment*. A recommender reads a
# user's past and guesses what comes next; a sparse autoencoder will later read what the recommender made of it.
# Before we look inside a model we look at what it was fed, because most surprises inside a model are facts about
# its data.
#
# **Questions.** How uneven is popularity? How long is a history? Which genres exist, and how rare is the rarest?
# And which users may a model be trained on, if we want to believe what we measure on the others?

# %% tags=["parameters"]
dataset: str = "planted"  # a name of book/artifacts.yml: planted, ml-1m, or one of your own
length: int = 50  # the longest history that the model reads

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from recsae_core import artifacts, figures, results
from recsae_core.recommenders import cases
from recsae_core.results import Result

# %% [markdown]
# ## One table, and what is known about the items
#
# Every dataset reaches us in one form, `Interactions`: contiguous user and item ids sorted by user and then by
# time, an item table, and a true/false matrix *item × attribute*. Ratings, where there are any, are kept but not
# used here: that someone watched the film is the signal.

# %%
inter = artifacts.interactions(dataset)
pd.Series(
    {
        "interactions": len(inter),
        "users": inter.n_users,
        "items with an interaction": len(np.unique(inter.item)),
        "attributes": len(inter.attribute_names),
        "density": f"{len(inter) / inter.n_users / inter.n_items:.2%}",
    },
    name=dataset,
).to_frame()

# %% [markdown]
# Each dataset carries its provenance: which files were read, and whether they are byte for byte the official
# ones. Where they are not, every number of this edition says so.

# %%
pd.DataFrame(inter.provenance.get("files", [])) if inter.provenance.get("files") else inter.provenance

# %% [markdown]
# ## Popularity: a few items take most
#
# If all items were equally popular the line below would be flat. It is close to straight on two logarithmic axes
# instead, so a handful of items collect a large part of all interactions. Keep this in mind for two reasons. A
# recommender that always lists the most popular items is already not bad, so it must stand beside every model
# (next notebook). And a statistic over *positions* is dominated by popular items, so a feature that knows one
# blockbuster can look like a feature that knows a genre.

# %% mystnb={"figure": {"caption": "Interactions of each item, most popular first, on logarithmic axes. The straight part is the long tail: popularity falls like a power of the rank.", "name": "fig-data-popularity"}, "image": {"alt": "Line falling from the upper left to the lower right on logarithmic axes: the first items have a hundred times as many interactions as the last."}}
count = np.sort(np.bincount(inter.item, minlength=inter.n_items))[::-1]
figures.popularity_curve({dataset: count})

# %%
top = int(np.ceil(0.1 * inter.n_items))
print(f"The most popular tenth of the items collects {count[:top].sum() / count.sum():.0%} of all interactions.")

# %% [markdown]
# ## Histories: how much does the model know about a user?
#
# The transformer reads at most `length` items. The dashed line shows where it stops looking: whatever lies
# further back than that is lost to it.

# %% mystnb={"figure": {"caption": "Number of interactions of each user. The marked length is the window of the transformer.", "name": "fig-data-histories"}, "image": {"alt": "Histogram of history lengths, skewed to the right, with a vertical mark at the window length."}}
lengths = np.array([len(h) for h in inter.histories()])
figures.history_lengths(lengths, mark=length)

# %% [markdown]
# ## Attributes: the words that features will be compared with
#
# An item may have several. The rarest ones matter most for an honest evaluation: with few positive items, a
# feature that fires for three of them by accident already looks good.

# %% mystnb={"figure": {"caption": "Items with each attribute. Rare attributes are easy to match by accident, so every claim about them needs a control.", "name": "fig-data-attributes"}, "image": {"alt": "Horizontal bars, one an attribute, sorted by the number of items; the longest bar is many times the shortest."}}
items_with = inter.attributes.sum(0)
order = np.argsort(-items_with)
figures.attribute_counts(items_with[order], [inter.attribute_names[a] for a in order])

# %% [markdown]
# ## The split: three groups of users who never mix
#
# We follow the authors of the sequential paper (arXiv 2507.12202), whose split has three disjoint groups:
#
# - **test**: the newest tenth of the users. They arrive after a moment in time, the *cut*, and nobody else's
#   events after the cut are used, so that the model cannot have seen the future.
# - **train**: 60% of the remaining users, at random. The recommender learns from them.
# - **sae**: the other 40%. The sparse autoencoder learns from what the recommender computes for *them*: users
#   that the recommender was not fitted to. Their last items also decide when the recommender stops training.
#
# A test user's last item is the thing to be guessed; everything before it is the model's input.

# %%
parts = artifacts.parts(dataset)
groups = {"train": parts.train, "sae": parts.sae, "test": parts.test}
pd.DataFrame(
    {
        name: {"interactions": len(g), "users": g.n_users, "items": len(np.unique(g.item))}
        for name, g in groups.items()
    }
).T

# %%
cut = pd.Timestamp(parts.cut, unit="s")
positions = {name: int(cases.inputs(g, length).length.sum()) for name, g in groups.items()}
print(f"The cut: {cut:%Y-%m-%d %H:%M:%S} UTC.")
print(f"Positions to read activations at (window {length}): {positions['sae']:,} in sae, {positions['test']:,} in test.")

# %% [markdown]
# **What would have surprised us?** A test user with an event before the cut, or one user in two groups. Both would
# make every later number too good, and both are properties of the table that we can check rather than trust.

# %%
assert all(g.time.max() < parts.cut for g in (parts.train, parts.sae))
assert parts.test.time.min() >= parts.cut
assert not (set(parts.train.user_ids) & set(parts.sae.user_ids) | set(parts.test.user_ids) & set(parts.train.user_ids))

# %% tags=["hide-input"]
results.write(
    "01_data",
    {
        f"data/{name}/{what}": Result(value=value, unit=what, n=1, better="none")
        for name, g in groups.items()
        for what, value in {
            "interactions": len(g),
            "users": g.n_users,
            "items": len(np.unique(g.item)),
            "positions": positions[name],
        }.items()
    }
    | {
        "data/all/popular_tenth": Result(
            value=count[:top].sum() / count.sum(), unit="share of interactions", n=len(inter), better="none"
        )
    },
)

# %% [markdown]
# ```{admonition} Try it
# Run this notebook on your own interactions. Describe them in `book/artifacts.yml` as a source of kind `csv`, then
# `python -m recsae_core run 01_data -p dataset=mine`.
# ```
