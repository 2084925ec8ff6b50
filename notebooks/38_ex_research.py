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
# # Exercises: from a number to a claim
#
# Everybody can find something in 256 latents. These exercises are about what makes a finding: a number that somebody
# else gets, too; a control; enough users; a choice that does not flatter itself; and an explanation that is not simply
# popularity. The planted transformer and its autoencoder serve as the object.
#
# One star: run and read. Two stars: write a few lines. Three stars: a small piece of research with an open end and a
# part that can be checked. The last cell of each exercise says what is wrong, never the answer.

# %% tags=["parameters"]
seed: int = 0  # of transformer and autoencoders
ks: list = [1, 8, 128]  # active latents a row of three autoencoders
studies: int = 1000  # simulated
most: int = 100  # latents that are switched off

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array

from recsae_book import artifacts, results
from recsae_checks import research as check
from recsae_core import paths
from recsae_core.interpret import dictionaries, statistics
from recsae_core.recommenders import activations, build, cases, ranking
from recsae_core.steer import response
from recsae_core.steer.edit import edit

parts = artifacts.parts("planted")
train, names = parts.train, list(parts.train.attribute_names)
attributes = train.attributes
popularity = np.bincount(train.item, minlength=train.n_items)
model = artifacts.get("planted/transformer", seed=seed)
length = model.config.length
sae = artifacts.get("planted/sae-topk", seed=seed)
held = cases.leave_last_out(parts.test, length)
x = activations.collect(model, "block0", cases.inputs(parts.sae, length))
item = x.item.numpy()
with torch.no_grad():
    z = sae.encode(x.h).dense().numpy()
print(f"{len(held)} held-out users; {len(z)} rows of {sae.m} latents")

# %% [markdown]
# (ex-8-1)=
# ## Exercise 8.1 ★ The same number again
#
# The [scoreboard](../book/scoreboard.md) has a row for the most popular items on the planted world: its NDCG@10 on the
# test users with a 95% interval, bootstrap over users. Compute it: `row = {"value": ..., "low": ..., "high": ...}`.
# The recommender is `build("most-popular", n_items=train.n_items).learn(train)`; `held` holds the test users' cases,
# targets and what they have seen. Bootstraps differ in the last digits, so only the value must agree exactly.

# %% tags=["exercise"]
row = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
popular = build("most-popular", n_items=train.n_items).learn(train)
of_users = ranking.evaluate(popular, held)["ndcg@10"]
row = statistics.bootstrap_mean(of_users, np.random.default_rng(1))._asdict()

board = paths.root() / "data/results/published/03_planted_truth.json"
stored = results.read(board)["planted/most-popular/ndcg@10"]
pd.DataFrame(
    {
        "computed": row,
        "on the scoreboard": {key: getattr(stored, key) for key in row},
    }
).T.round(4)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The interval is that of the *mean*, over users like these. It is wide because most users get 0 and a few get much. A
# comparison of two recommenders on the same users is sharper than two such intervals: take differences user by user.
# ```

# %% tags=["check"]
check.ex_8_1(row, train, held)

# %% [markdown]
# (ex-8-2)=
# ## Exercise 8.2 ★★★ Design a control
#
# *Claim: this autoencoder has a latent for the genre; the best one correlates with it at r.* What would have been found
# without any relation? Write `p_value(z, item, has, draws, rng)`: `z` are activations, `[rows, m]`, `item` the item of
# each row, `has` says which items have the genre, `[items]`. Compare the highest correlation over latents with what it
# is in `draws` shuffles that keep everything but the relation, drawn with `rng`. Return
#
# $$p = \frac{1 + \#\{\text{shuffles that reach the value found}\}}{1 + \text{draws}} .$$
#
# What is shuffled is the question: an item stands on many rows, and a latent that knows single items by heart should
# not pass.
#
# Then the open part. Do all genres pass with the autoencoder? With random directions
# (`dictionaries.random_relu(x.h, m, k, generator)`)? If these pass too, which claim is left, and which control would
# you design for it?
#
# ```{dropdown} Hint
# The sums of `z` over the rows of each item, `[items, m]`, and the rows of each item are all that a correlation needs:
# a shuffle is then one product of matrices.
# ```


# %% tags=["exercise"]
def p_value(z, item, has, draws, rng):
    """P(the best of all latents does as well) where labels are shuffled."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def p_value(z, item, has, draws, rng):
    """P(the best of all latents does as well) where labels are shuffled."""
    rows = np.bincount(item, minlength=len(has))
    centred = (z - z.mean(0)) / np.maximum(z.std(0), 1e-9)
    of_item = csr_array(
        (np.ones(len(item)), (item, np.arange(len(item)))),
        shape=(len(has), len(item)),
    )
    sums = of_item @ centred

    def best(label):
        share = (rows @ label) / len(item)
        return (label @ sums).max() / (
            len(item) * np.sqrt(share * (1 - share))
        )

    found = best(has)
    null = np.array([best(rng.permutation(has)) for _ in range(draws)])
    return (1 + (null >= found - 1e-12).sum()) / (1 + draws)


some = np.random.default_rng(0).choice(len(z), 6000, replace=False)
nothing = dictionaries.random_relu(
    x.h, sae.m, 8, torch.Generator().manual_seed(seed)
)
with torch.no_grad():
    z_nothing = nothing.encode(x.h[some]).dense().numpy()
pd.DataFrame(
    {
        kind: {
            name: p_value(
                code,
                item[some],
                attributes[:, a],
                99,
                np.random.default_rng(a),
            )
            for a, name in enumerate(names)
        }
        for kind, code in (
            ("autoencoder", z[some]),
            ("random directions", z_nothing),
        )
    }
).T.round(2)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The null of shuffled items says that *some* direction of the space goes with the genre. Random directions pass as
# well wherever the recommender itself encodes the genre: the test is about the recommender, not about the autoencoder.
# The claim that needs the autoencoder is "better than other dictionaries of the same size", and its control is another
# dictionary on held-out items, not a shuffle.
# ```

# %% tags=["check"]
check.ex_8_2(p_value)

# %% [markdown]
# (ex-8-3)=
# ## Exercise 8.3 ★★ How many users?
#
# Two recommenders are compared user by user. Write `power(effect, n, studies, rng)`: simulate `studies` experiments,
# each with `n` differences drawn from a normal distribution with mean `effect` and standard deviation 1; return the
# share of experiments whose 95% t interval for the mean leaves out 0.
#
# Then use it. `held` has 200 users. Would they show that a change costs 5% of the NDCG? Take the spread of the
# differences between two transformers that differ in their seed alone.


# %% tags=["exercise"]
def power(effect, n, studies, rng):
    """Share of simulated experiments that find an effect."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def power(effect, n, studies, rng):
    """Share of simulated experiments that find an effect."""
    from scipy import stats

    drawn = rng.normal(effect, 1, size=(studies, n))
    error = drawn.std(1, ddof=1) / np.sqrt(n)
    return float(
        (np.abs(drawn.mean(1)) > stats.t.ppf(0.975, n - 1) * error).mean()
    )


one, two = (
    ranking.evaluate(artifacts.get("planted/transformer", seed=s), held)[
        "ndcg@10"
    ]
    for s in (0, 1)
)
effect = 0.05 * one.mean() / (one - two).std()
pd.DataFrame(
    {
        n: {"power": power(effect, n, studies, np.random.default_rng(0))}
        for n in (200, 800, 3200, 6400)
    }
).rename_axis(columns="users").round(2)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# NDCG of single users is 0 or large, so differences are wide and a few hundred users cannot see a few percent. "No
# significant loss" from such a study means "we could not have seen it". More lists a user help, as in [the notebook on
# control](10_control.ipynb), and so does an honest sentence about the smallest effect that could have been found.
# ```

# %% tags=["check"]
check.ex_8_3(power)

# %% [markdown]
# ## Something to choose from
#
# For the next exercise here are two tables of NDCG@10, candidates by users, `[candidates, users]`. `by_k`: three
# autoencoders with different numbers of active latents, the recommender going on from their copies. `by_latent`: one
# autoencoder, one of its latents switched off at a time, the error kept.

# %% tags=["hide-input"]
test = cases.tails(parts.test, length, 1)
split = model.tail("block0", test.cases, 1)


@torch.no_grad()
def ndcg(h):
    """NDCG@10 of each list that goes on from these rows."""
    _, place = response.ranked(split.finish(h), test.seen, test.target)
    place = place.numpy()
    return (place > 0) / np.log2(np.maximum(place, 1) + 1)


copies = [
    artifacts.get("planted/sae-topk", seed=seed, sae={"k": k}) for k in ks
]
with torch.no_grad():
    by_k = np.stack([ndcg(one.decode(one.encode(split.h))) for one in copies])
    firing = (sae.encode(split.h).dense() > 0).any(0).nonzero()[:most, 0]
    by_latent = np.stack(
        [ndcg(edit(split, sae, [j], "set", 0.0)) for j in firing.tolist()]
    )
print(f"by_k {by_k.shape}, by_latent {by_latent.shape}")

# %% [markdown]
# (ex-8-4)=
# ## Exercise 8.4 ★★★ Choose on one half, report on the other
#
# Write `chosen_and_reported(scores, half)`: `scores` is `[candidates, units]`, `half` marks units (bool). Return the
# number of the candidate that is best on the marked half (by the mean), its mean there, and its mean on the other half.
#
# Then the open part. Over many random halves: how much better does the chosen candidate look on the half that chose?
# Once for `by_k`, once for `by_latent`, where somebody may write *"switching off one latent raises the NDCG by so many
# percent"*. How does the optimism grow with the number of candidates? What would it be with ten times the users?


# %% tags=["exercise"]
def chosen_and_reported(scores, half):
    """The best candidate on the marked half, its mean there and elsewhere."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def chosen_and_reported(scores, half):
    """The best candidate on the marked half, its mean there and elsewhere."""
    best = int(scores[:, half].mean(1).argmax())
    return best, scores[best, half].mean(), scores[best, ~half].mean()


rng, rows = np.random.default_rng(0), {}
untouched = ndcg(split.h)
for name, scores in {
    "three values of k": by_k,
    "8 latents": by_latent[rng.choice(len(by_latent), 8, replace=False)],
    f"{len(by_latent)} latents": by_latent,
}.items():
    drawn = []
    for _ in range(200):
        half = rng.permutation(scores.shape[1]) % 2 == 0
        _, inside, outside = chosen_and_reported(scores, half)
        base = untouched[half].mean(), untouched[~half].mean()
        drawn.append((inside / base[0] - 1, outside / base[1] - 1))
    rows[name] = dict(
        zip(
            ["gain where chosen", "gain where reported"],
            np.mean(drawn, 0),
            strict=True,
        )
    )
pd.DataFrame(rows).T.assign(
    optimism=lambda t: t.iloc[:, 0] - t.iloc[:, 1]
).round(3)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The maximum of many noisy means is high because it is a maximum. Where candidates really differ, as copies by one
# latent and by eight do, the choice is safe and the optimism small. Where they hardly differ the whole gain is
# optimism: on the other half the chosen latent does nothing or harm. It falls with the square root of the users, and
# no test of significance on the half that chose can see it.
# ```

# %% tags=["check"]
check.ex_8_4(chosen_and_reported)

# %% [markdown]
# (ex-8-5)=
# ## Exercise 8.5 ★★★ Is it only popularity?
#
# A latent that fires on items of a genre may fire on popular items, of which the genre has many. Write
# `beyond_popularity(z, has, count, bins)` for one latent: `z` is its mean activation on each item, `[items]`, `has`
# the items of the genre, `count` how popular they are. Sort the items by `count` and cut them into `bins` groups of
# equal size (`np.array_split`, most popular first, `kind="stable"`). In each group that has items of both kinds take
# the mean of `z` over those with the genre minus the mean over the others. Return the mean over groups, weighted by
# the number of items with the genre.
#
# Then the open part. `by_item` below is what `z` is for all latents. For each latent take the genre with the largest
# plain contrast, in standard deviations of the latent. For which latents does most of it disappear within groups of
# equal popularity? Look at what is left of the claim "a latent for this genre". Which other explanation would you rule
# out next: eras, words of titles, the position in the history?

# %% tags=["hide-input"]
rows_of_item = np.maximum(np.bincount(item, minlength=len(popularity)), 1)
by_item = (
    csr_array(
        (np.ones(len(item)), (item, np.arange(len(item)))),
        shape=(len(popularity), len(item)),
    )
    @ z
)
by_item /= rows_of_item[:, None]


# %% tags=["exercise"]
def beyond_popularity(z, has, count, bins):
    """The contrast of a genre among items of equal popularity."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def beyond_popularity(z, has, count, bins):
    """The contrast of a genre among items of equal popularity."""
    total, weight = 0.0, 0
    for group in np.array_split(np.argsort(-count, kind="stable"), bins):
        inside = has[group]
        if inside.any() and not inside.all():
            contrast = z[group][inside].mean() - z[group][~inside].mean()
            total += inside.sum() * contrast
            weight += inside.sum()
    return total / weight


unit = by_item / np.maximum(by_item.std(0), 1e-9)
plain = np.stack(
    [
        unit[attributes[:, a]].mean(0) - unit[~attributes[:, a]].mean(0)
        for a in range(len(names))
    ],
    axis=1,
)
genre = plain.argmax(1)


def judged(z):
    """The genre with the largest contrast, and what is left of it."""
    plain = [z[has].mean() - z[~has].mean() for has in attributes.T]
    a = int(np.argmax(plain))
    left = beyond_popularity(z, attributes[:, a], popularity, 10)
    r = np.corrcoef(z, np.log1p(popularity))[0, 1]
    return {
        "genre": names[a],
        "items": attributes[:, a].sum(),
        "plain": plain[a],
        "equal popularity": left,
        "left": left / plain[a],
        "r with log popularity": r,
    }


def scaled(z):
    """In standard deviations."""
    return (z - z.mean()) / z.std()


table = pd.DataFrame(
    {
        j: judged(scaled(by_item[:, j]))
        for j in range(sae.m)
        if by_item[:, j].any()
    }
).T
print(f"median of what is left: {table['left'].median():.2f}")
worst = table[table["plain"] > 0.3].sort_values("left").head(5)
itself = judged(scaled(np.log1p(popularity)))
pd.concat(
    [worst, pd.DataFrame({"popularity itself": itself}).T]
).infer_objects().round(2)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The last row shows what the control is for: popularity itself has a genre that it goes with, and nothing of that is
# left within groups. For most latents nearly all is left: the control could have hurt the claim, and did not. Those
# that lose most belong to genres with few items, where a group holds one or two of them and the contrast is noise. On
# real data genres and popularity go together, and the same table is less kind.
# ```

# %% tags=["check"]
check.ex_8_5(beyond_popularity)
