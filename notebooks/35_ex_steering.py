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
# # Exercises: steering
#
# A latent is turned, and the list follows. These exercises take the experiment of [the notebook on
# control](10_control.ipynb) apart: what an edit may change, which rows it may touch, what a dose does, what it has to
# be compared with, and what else moves. All run on the planted world, with a transformer and an autoencoder that are
# trained already.
#
# One star: run and read, or think before you run. Two stars: write a few lines. Three stars: a small piece of
# research with a part that can be checked. The last cell of each exercise says what is wrong, never the answer.

# %% tags=["parameters"]
genre: str = "Song"  # the one that is turned up
seed: int = 0  # of transformer and autoencoder
people: int = 150  # test users whose lists are steered

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts
from recsae_checks import steering as check
from recsae_core.interpret import alignment
from recsae_core.recommenders import activations, cases
from recsae_core.steer import methods, response as responses
from recsae_core.steer.edit import units

parts = artifacts.parts("planted")
names = list(parts.test.attribute_names)
attributes = parts.test.attributes
model = artifacts.get("planted/transformer", seed=seed)
sae = artifacts.get("planted/sae-topk", seed=seed)
length = model.config.length

# rows of the users on whom the autoencoder was trained: here we choose
x = activations.collect(model, "block0", cases.inputs(parts.sae, length))
r = alignment.align(sae, x.h, x.item, attributes).r
latent = int(r[:, names.index(genre)].argmax())
has = torch.from_numpy(attributes[x.item.numpy(), names.index(genre)])

# the lists of other users: here we look
some = np.unique(parts.test.user)[:people]
test = cases.tails(parts.test.rows(np.isin(parts.test.user, some)), length, 1)
((_, lists),) = responses.batches(model, "block0", test, batch=people)
wanted = torch.from_numpy(attributes[:, names.index(genre)].copy())
print(f"latent {latent} goes with {genre}; {len(test)} lists")

# %% [markdown]
# `lists` is what every method begins with: `lists.split.h` the rows that decide the lists, `lists.split.finish` the
# rest of the recommender, `lists.scores` what it says of the unedited rows, and `lists.seen` marks the items that the
# user has had.
#
# (ex-5-1)=
# ## Exercise 5.1 ★ A dose that changes nothing
#
# The authors put $\mathrm{decode}(z')$ in the place of $h$. We put $h + \mathrm{decode}(z') - \mathrm{decode}(z)$
# there. Take the smallest edit of all, $z' = z$. **Guess first**: which share of a user's ten best unseen items is
# still among the ten best, in either way? Then measure: `same = {"kept": ..., "dropped": ...}`, means over all lists,
# "kept" for the row with its error, "dropped" for the copy alone.
#
# ```{dropdown} Hint
# `lists.scores.masked_fill(lists.seen, -torch.inf).topk(10, dim=1).indices` are the ten best. Two lists agree in an
# item wherever it stands.
# ```

# %% tags=["exercise"]
same = None


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def ten(scores):
    """The ten best unseen items of each list."""
    return scores.masked_fill(lists.seen, -torch.inf).topk(10, dim=1).indices


def shared(scores):
    """Mean share of the ten best that was among them before."""
    old, new = ten(lists.scores), ten(scores)
    return float((old[:, :, None] == new[:, None]).any(2).float().mean())


with torch.no_grad():
    h = lists.split.h
    copy = sae.decode(sae.encode(h))
    same = {
        "kept": shared(lists.split.finish(h + (copy - copy))),
        "dropped": shared(lists.split.finish(copy)),
    }
print(same)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# With the error kept the two copies cancel and nothing is left to move. Without it the list already changes before
# any latent is turned: what the dictionary cannot say is thrown away. A dose-response curve that begins there mixes
# two effects, and a "loss of accuracy by steering" may be the loss by copying.
# ```

# %% tags=["check"]
check.ex_5_1(same, lists, sae)

# %% [markdown]
# (ex-5-2)=
# ## Exercise 5.2 ★★ Set, add, scale
#
# Write `turned(z, latent, rule, dose)`. `z` is a dense code, a float tensor of shape `[n, m]`. The result is the code
# in which that one latent was changed: `"set"` makes it equal to the dose, `"add"` adds the dose, `"scale"` multiplies
# by it. The code that was passed in must stay as it is.


# %% tags=["exercise"]
def turned(z, latent, rule, dose):
    """The code with one latent changed by a rule."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def turned(z, latent, rule, dose):
    """The code with one latent changed by a rule."""
    out = z.clone()
    old = z[:, latent]
    out[:, latent] = {
        "set": torch.full_like(old, dose),
        "add": old + dose,
        "scale": old * dose,
    }[rule]
    return out


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Set forgets what the latent said: users with a strong taste and users without one are made alike. Add keeps the
# order of users. Scale cannot wake a latent that is silent, so it reaches only those who have the taste already.
# Which rule is used decides *whom* the dose moves, and the papers use different ones.
# ```

# %% tags=["check"]
check.ex_5_2(turned)

# %% [markdown]
# (ex-5-3)=
# ## Exercise 5.3 ★★ Which rows
#
# A split of a sequence model has one row for each position of each history, one history after another. Write
# `steer_last(split, direction, dose)` that returns all rows, shape `[r, d]`, with `dose * direction` added to the row
# that decides each case's list and to no other. Histories have different lengths. Rows that are not edited must come
# back bit for bit, and `split.h` must not change.


# %% tags=["exercise"]
def steer_last(split, direction, dose):
    """The rows of a split with those that decide a list moved."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def steer_last(split, direction, dose):
    """The rows of a split with those that decide a list moved."""
    h = split.h.clone()
    h[split.last] += dose * direction
    return h


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Moving every position says that the user always was somebody else. Moving the last one says that this user wants
# something now. Both are experiments, but not the same one, and the second is the one that a service would run.
# ```

# %% tags=["check"]
check.ex_5_3(steer_last)

# %% [markdown]
# (ex-5-4)=
# ## Exercise 5.4 ★★ A curve without an autoencoder
#
# Two functions.
#
# - `difference(h, has)`: the mean of the rows of `h`, `[n, d]`, where `has` (bool, `[n]`) holds, minus the mean of the
#   others. One vector, `[d]`.
# - `response(h, finish, seen, wanted, vector, doses)`: for each dose the mean over lists of the share of the ten best
#   unseen items that are `wanted` (bool, one an item), when `dose * vector` was added to every row of `h`. An array,
#   one number a dose.
#
# Then draw the curve: `difference(x.h, has)` as the vector, `lists.split` for the rest. Where does it begin to
# saturate?


# %% tags=["exercise"]
def difference(h, has):
    """Mean of the rows with an attribute minus mean of the others."""
    raise NotImplementedError


def response(h, finish, seen, wanted, vector, doses):
    """Mean share of wanted items in the top ten at each dose."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def difference(h, has):
    """Mean of the rows with an attribute minus mean of the others."""
    return h[has].mean(0) - h[~has].mean(0)


def response(h, finish, seen, wanted, vector, doses):
    """Mean share of wanted items in the top ten at each dose."""
    shares = []
    for dose in doses:
        with torch.no_grad():
            scores = finish(h + dose * vector)
        top = scores.masked_fill(seen, -torch.inf).topk(10, dim=1).indices
        shares.append(float(wanted[top].float().mean()))
    return np.array(shares)


doses = [-1, -0.5, 0, 0.5, 1, 1.5, 2]
curve = response(
    lists.split.h,
    lists.split.finish,
    lists.seen,
    wanted,
    difference(x.h, has),
    doses,
)
pd.Series(curve.round(3), index=pd.Index(doses, name="dose"), name="share")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The difference of means needs labels and one line. It uses every row, so it is little disturbed by noise. An
# autoencoder that was trained without labels and *then* read with the same labels has to show that the detour was
# worth it.
# ```

# %% tags=["check"]
check.ex_5_4(difference, response)

# %% [markdown]
# (ex-5-5)=
# ## Exercise 5.5 ★★★ The price at an equal share
#
# Three ways to put more of the genre on the lists: the latent, the difference of means, and a bonus on the scores of
# its items (*re-ranking*, which needs no model inside at all). Compare them where they do the same.
#
# - `dose_for(share, wanted, high)`: `share` is a function from a dose to a share that never falls between 0 and
#   `high`. Return the smallest dose, to within 1% of `high`, at which the share is at least `wanted`. Raise
#   `ValueError` if even `high` is not enough. A call of `share` is expensive: 40 are too many.
# - `side_effect(before, after, attributes, turned)`: `before` and `after` are lists of item ids, `[n, k]`;
#   `attributes` is bool, `[items, genres]`; `turned` the number of the genre that was turned. Return the mean, over
#   all *other* genres, of how far the genre's share of all lists moved, up or down.
#
# Then the open part. Raise the share of the genre to one and a half times what it is, with each method, and compare
# the accuracy (`responses.ranked` gives the place of the item that came next) and the side effects. Set doses on some
# lists and compare on others. Which method is cheapest? What would have to be true for a latent to win?


# %% tags=["exercise"]
def dose_for(share, wanted, high):
    """The smallest dose at which a share that never falls is reached."""
    raise NotImplementedError


def side_effect(before, after, attributes, turned):
    """Mean size of the change of the other genres' shares."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def dose_for(share, wanted, high):
    """The smallest dose at which a share that never falls is reached."""
    if share(high) < wanted:
        raise ValueError(f"a dose of {high} does not reach {wanted}")
    low, width = 0.0, high
    while high - low > 0.01 * width:
        middle = (low + high) / 2
        if share(middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def side_effect(before, after, attributes, turned):
    """Mean size of the change of the other genres' shares."""
    change = attributes[after].mean((0, 1)) - attributes[before].mean((0, 1))
    return np.abs(np.delete(change, turned)).mean()


every = {
    "latent": methods.Latents(sae, [latent], "add", units(sae, x.h).top),
    "difference of means": methods.Direction(
        methods.difference_of_means(x.h, has)
    ),
    "re-ranking": methods.Rerank(wanted),
}
HIGH = {"latent": 2.0, "difference of means": 2.0, "re-ranking": 6.0}
first = (
    torch.arange(len(test)) % 2 == 0
)  # sets doses; the others are compared


def ndcg(place):
    """Mean NDCG with one target, whose place is 0 where it is not listed."""
    return ((place > 0) / np.log2(np.maximum(place, 1) + 1)).mean()


def lists_at(method, dose):
    """Top ten and place of the target of every list."""
    with torch.no_grad():
        scores = method(lists, dose)
    return [
        a.numpy() for a in responses.ranked(scores, lists.seen, test.target)
    ]


old, old_place = lists_at(every["re-ranking"], 0.0)
a, goal = (
    names.index(genre),
    1.5 * float(attributes[old][first, :, names.index(genre)].mean()),
)
rows = {
    "nothing": {
        "share": attributes[old][~first][..., a].mean(),
        "NDCG@10": ndcg(old_place[~first]),
    }
}
for name, method in every.items():
    dose = dose_for(
        lambda d, m=method: attributes[lists_at(m, d)[0]][first][
            ..., a
        ].mean(),
        goal,
        HIGH[name],
    )
    top, place = lists_at(method, dose)
    rows[name] = {
        "dose": dose,
        "share": attributes[top][~first][..., a].mean(),
        "NDCG@10": ndcg(place[~first]),
        "side effect": side_effect(old[~first], top[~first], attributes, a),
    }
pd.DataFrame(rows).T[["dose", "share", "NDCG@10", "side effect"]].round(3)

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A share of a top ten moves in steps, so the search must not trust a straight line. With so few lists the differences
# in accuracy are mostly noise: an honest comparison puts an interval on them (see [the notebook on calibrated
# control](11_calibrated_control.ipynb)). What the table does show is the question to ask of every steering result: *at
# the same effect, compared with a bonus on the scores*. A latent wins where the wish has no label, so that there is no
# bonus to give.
# ```

# %% tags=["check"]
check.ex_5_5(dose_for, side_effect)
