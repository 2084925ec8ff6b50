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
# # Exercises: one dictionary for users and items
#
# The second paper gives users and items the same latents. These exercises rebuild what it rests on: the shared code,
# the objective that asks the recommender, purity and what chance gives, nested prefixes, and interventions with doses
# that occur. The recommender is the matrix factorisation of [the notebook on two towers](13_two_towers.ipynb) on the
# planted world.
#
# One star: run and read, or think before you run. Two stars: write a few lines. Three stars: a small piece of
# research with a part that can be checked. The last cell of each exercise says what is wrong, never the answer.

# %% tags=["parameters"]
seed: int = 0  # of recommender and autoencoders
top: int = 10  # items of a latent that are looked at
draws: int = 300  # shuffles of a null

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts
from recsae_checks import monosemantic as check
from recsae_core.interpret import statistics
from recsae_core.recommenders import cases
from recsae_core.steer.interventions import Bonus, places
from recsae_core.steer.methods import Latents

parts = artifacts.parts("planted-hidden")
train, names = parts.train, list(parts.train.attribute_names)
attributes = train.attributes
model = artifacts.get("planted-hidden/mf", seed=seed)
sae = artifacts.get("planted-hidden/sae-best-mf", seed=seed)
users, items = (v.detach() for v in model.vectors())
with torch.no_grad():
    z_users, z_items = (sae.encode(v).dense().numpy() for v in (users, items))
taken = np.zeros((train.n_users, train.n_items))
taken[train.user, train.item] = 1
taste = taken @ attributes / taken.sum(1, keepdims=True)
print(
    f"{sae.m} latents; users {tuple(users.shape)}, items {tuple(items.shape)}"
)

# %% [markdown]
# `users` and `items` are the vectors of the recommender, `z_users` and `z_items` their codes, `attributes` the genres
# of items (bool) and `taste` the share of each genre in each user's history.
#
# (ex-6-1)=
# ## Exercise 6.1 ★ One name for both?
#
# A latent gets a name from items: the genre with which its activation on *items* correlates most. It gets another one
# from users: the genre whose `taste` it follows most on *users*. If the dictionary is shared in more than its weights,
# the two are the same genre. **Guess first**, for 80 latents and 16 genres: how many by chance, how many in fact? Then
# count: `same_name`, a whole number.

# %% tags=["exercise"]
same_name = None


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def correlation(z, value):
    """Correlation of every latent with every column, [m, a]; 0 for a latent that never fires."""
    z, value = (
        (v - v.mean(0)) / np.maximum(v.std(0), 1e-9) for v in (z, value)
    )
    return z.T @ value / len(z)


by_items = correlation(z_items, attributes.astype(float)).argmax(1)
by_users = correlation(z_users, taste).argmax(1)
same_name = int((by_items == by_users).sum())
print(f"{same_name} of {sae.m}; by chance about {sae.m / len(names):.0f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Users and items meet in a product, so a user with a taste has a vector that points where the genre's items point.
# Nothing in the code says "user" or "item". Many latents keep their name, and a good part does not: a name that was
# learned from items is a hypothesis about users, to be tested on users.
# ```

# %% tags=["check"]
check.ex_6_1(same_name, z_items, z_users, attributes, taste)

# %% [markdown]
# (ex-6-2)=
# ## Exercise 6.2 ★★ Ask the recommender
#
# Write `prediction_loss(x, x_hat, finish)`. `x` are true rows and `x_hat` their copies, `[r, d]`; `finish` is the rest
# of the recommender, frozen, from rows to logits. Return the mean squared difference of the logits, one number that
# can be minimised. What the recommender says of the true rows is the target: no gradient may flow into it.


# %% tags=["exercise"]
def prediction_loss(x, x_hat, finish):
    """Mean squared difference of the scores of copies and of true rows."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def prediction_loss(x, x_hat, finish):
    """Mean squared difference of the scores of copies and of true rows."""
    with torch.no_grad():
        target = finish(x)
    return (finish(x_hat) - target).square().mean()


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The error of a vector is counted the same in all directions. The recommender does not read all directions alike, and
# passing the gradient through its frozen second half tells the autoencoder which ones it reads. Does that make latents
# more meaningful, too? That is another question, and [the notebook on purity](14_purity.ipynb) asks it.
# ```

# %% tags=["check"]
check.ex_6_2(prediction_loss)

# %% [markdown]
# (ex-6-3)=
# ## Exercise 6.3 ★★ Equal errors that are not equal
#
# Move one user's vector by a step of length 1. All scores of that user change, $q_i \cdot v$ for item $i$. Write
# `directions(Q)`: `Q` holds the item vectors, `[items, d]`; return `(quiet, loud)`, two vectors of length 1, `[d]`:
# the steps for which the mean over items of the squared change is smallest and largest. Then use it on `items`: how
# many times as loud is the loud one?
#
# ```{dropdown} Hint
# The mean squared change is $v^\top (Q^\top Q / n)\, v$. `torch.linalg.eigh` sorts eigenvalues from small to large.
# ```


# %% tags=["exercise"]
def directions(Q):
    """The unit steps of a user that change the scores least and most."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def directions(Q):
    """The unit steps of a user that change the scores least and most."""
    vectors = torch.linalg.eigh(Q.T @ Q / len(Q)).eigenvectors
    return vectors[:, 0], vectors[:, -1]


quiet, loud = directions(items)
sizes = [float((items @ v).square().mean()) for v in (quiet, loud)]
print(f"loud over quiet, squared: {sizes[1] / sizes[0]:.1f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# An autoencoder that is trained on the squared error of vectors treats both steps alike, and spends latents on what
# nobody will see in a list. How far the ratio is from 1 tells how much the prediction term *can* change. In a
# factorisation with nearly equal singular values it can change little.
# ```

# %% tags=["check"]
check.ex_6_3(directions)

# %% [markdown]
# (ex-6-4)=
# ## Exercise 6.4 ★★ Purity by hand
#
# Write `purity_at(z, has, k)`: `z` is the code of the items, `[items, m]`, `has` marks the items of one genre (bool).
# For each latent take the `k` items on which it is strongest; return the share that has the genre, `[m]`. An item on
# which the latent is silent is none of its top items and counts as a miss: the share is of `k`.


# %% tags=["exercise"]
def purity_at(z, has, k):
    """Share of each latent's k strongest items that have the genre."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def purity_at(z, has, k):
    """Share of each latent's k strongest items that have the genre."""
    best = np.argsort(-z, axis=0, kind="stable")[:k]
    hit = has[best] & (np.take_along_axis(z, best, 0) > 0)
    return hit.sum(0) / k


pd.Series(
    {
        name: purity_at(z_items, attributes[:, a], top).max()
        for a, name in enumerate(names)
    },
    name=f"purest latent, K = {top}",
).sort_values(ascending=False).to_frame().T

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Whoever fills a short list with silent items takes them in the order of the catalogue, and a catalogue is often
# sorted by popularity or by genre. Whoever divides by the items that fire calls a latent with one item pure.
# ```

# %% tags=["check"]
check.ex_6_4(purity_at)

# %% [markdown]
# (ex-6-5)=
# ## Exercise 6.5 ★★★ What does chance give?
#
# The purest of 80 latents is a maximum, and a maximum is high by itself. Write `chance_purity(z, has, k, draws, rng)`:
# in each draw shuffle the labels over the items with the generator `rng` (`rng.permutation`), and note the highest
# purity over all latents. An array, `[draws]`. Items without activation count as in the exercise before; write the
# purity anew here, so that this exercise stands alone.
#
# Then the open part. For every genre: the purity of its purest latent, the 95th percentile of the null, and the
# purity on items that had no part in the choice (`statistics.item_halves` marks the half that chooses). For which
# genres is the purity a finding? What do the genres with few items have in common, and is it that they are *not*
# found, or that they *could not* be?


# %% tags=["exercise"]
def chance_purity(z, has, k, draws, rng):
    """The highest purity over latents where the labels are shuffled."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def chance_purity(z, has, k, draws, rng):
    """The highest purity over latents where the labels are shuffled."""
    best = np.argsort(-z, axis=0, kind="stable")[:k]
    fires = np.take_along_axis(z, best, 0) > 0
    return np.array(
        [
            (rng.permutation(has)[best] & fires).mean(0).max()
            for _ in range(draws)
        ]
    )


def share_of_top(z, has):
    """The purity of the solution of 6.4, anew."""
    best = np.argsort(-z, axis=0, kind="stable")[:top]
    return (has[best] & (np.take_along_axis(z, best, 0) > 0)).mean(0)


(half,) = statistics.item_halves(
    taken.sum(0).astype(int), 1, np.random.default_rng(0)
)
rows = {}
for a, name in enumerate(names):
    has = attributes[:, a]
    null = chance_purity(z_items, has, top, draws, np.random.default_rng(a))
    chosen = share_of_top(z_items[half], has[half]).argmax()
    rows[name] = {
        "items": has.sum(),
        "purest": share_of_top(z_items, has).max(),
        "95% of chance": np.quantile(null, 0.95),
        "held out": share_of_top(z_items[~half], has[~half])[chosen],
    }
pd.DataFrame(rows).T.sort_values("items").round(2)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# For a large genre the null is well above the share of the genre: the best of many latents is lucky. For a genre of
# ten items the purity at ten cannot be high on a half that holds five of them, whatever the latent is: a low number
# there is a property of the measure. Use a smaller K or a measure that knows how many there are, as
# `purity.average_precision` does, before you say that a rare concept is missing.
# ```

# %% tags=["check"]
check.ex_6_5(chance_purity)

# %% [markdown]
# (ex-6-6)=
# ## Exercise 6.6 ★★ The first latents alone
#
# Write `prefix_error(sae, x, lengths)`: for each length `n` the mean over the rows of `x` of
# $\lVert x - \hat x\rVert^2$, where $\hat x$ is decoded from the first `n` latents of the code and all later ones
# count as 0. Rows are encoded once, whole. `sae.encode(x)` is a code; `code.dense()` its values, `[n, m]`;
# `code.with_dense(values)` the same code with other values; `sae.decode(code)` gives rows.
#
# Compare `artifacts.get("planted-hidden/matryoshka", seed=0)` with `"planted-hidden/matryoshka-plain"`, which has the
# same size and no nested objective.


# %% tags=["exercise"]
def prefix_error(sae, x, lengths):
    """Mean squared error of the rows from the first latents alone."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def prefix_error(sae, x, lengths):
    """Mean squared error of the rows from the first latents alone."""
    out = []
    with torch.no_grad():
        code = sae.encode(x)
        for n in lengths:
            value = code.dense().clone()
            value[:, n:] = 0
            copy = sae.decode(code.with_dense(value))
            out.append(float((copy - x).square().sum(1).mean()))
    return out


lengths = [1, 2, 4, 8, 16, 32]
pd.DataFrame(
    {
        name: prefix_error(
            artifacts.get(f"planted-hidden/{name}", seed=seed),
            torch.cat([users, items]),
            lengths,
        )
        for name in ("matryoshka", "matryoshka-plain")
    },
    index=pd.Index(lengths, name="first latents"),
).T.round(2)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The nested objective pays for good prefixes with a slightly worse whole. A low error of the first eight says that
# they are useful alone. It does not say that they are *general* and the later ones special cases of them: that is the
# claim of a hierarchy, and [the notebook on hierarchies](17_hierarchies.ipynb) tests it against shuffled levels.
# ```

# %% tags=["check"]
check.ex_6_6(prefix_error)

# %% [markdown]
# (ex-6-7)=
# ## Exercise 6.7 ★★ Promote an item, honestly
#
# Two functions, and then an intervention.
#
# - `level(z, q)`: `z` is one latent on all rows, a tensor `[n]`, mostly 0. Return the value below which a share `q` of
#   the rows *on which it fires* lies; `q` of 1 is the largest value that occurs.
# - `success(before, after, depth)`: `before` and `after` are the places of an item on the lists of `n` users, from 1;
#   0 stands for a user who has the item already. Return the share of the other users who find it among the first
#   `depth` after, minus the share who did before.
#
# Set the latent of a genre in an item that does not have the genre, at some levels. Does the item reach the genre's
# fans? And everybody else?


# %% tags=["exercise"]
def level(z, q):
    """A quantile of a latent over the rows on which it fires."""
    raise NotImplementedError


def success(before, after, depth):
    """How many more users find an item among the first ones."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def level(z, q):
    """A quantile of a latent over the rows on which it fires."""
    return float(torch.quantile(z[z > 0], q))


def success(before, after, depth):
    """How many more users find an item among the first ones."""
    can = before > 0
    return float((after[can] <= depth).mean() - (before[can] <= depth).mean())


a = names.index("Kitchen")
j = int(np.corrcoef(z_items.T, attributes[:, a])[-1, :-1].argmax())
item = int(np.flatnonzero(~attributes[:, a])[0])
fans = np.argsort(-taste[:, a])[:200]
others = np.setdiff1d(parts.test_users, fans)[:200]
rows = {}
for q in (0.5, 0.9, 1.0):
    dose = level(torch.from_numpy(z_items[:, j]), q)
    for who, group in (("fans", fans), ("others", others)):
        sets = cases.hidden_sets(train, parts.test, group)
        (old,) = places(model, sets, item, Bonus(torch.zeros(1)), [0.0])
        (new,) = places(model, sets, item, Latents(sae, [j], "set"), [dose])
        rows.setdefault(f"level {q:g}", {})[who] = success(old, new, 20)
pd.DataFrame(rows).T.round(3)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A dose beyond every value that occurs asks the recommender about an item that it has never met. And a criterion with
# two depths, outside the first 20 before and within the first 30 after, is met by an item that stays at place 25. The
# table needs one more column before it can be believed: the same success by a bonus on the item's score.
# ```

# %% tags=["check"]
check.ex_6_7(level, success)
