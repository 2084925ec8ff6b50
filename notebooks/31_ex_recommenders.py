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
# # Exercises: recommenders
#
# What is a good list, how is it measured, and how does one fool oneself? The exercises compute the metrics of this book
# by hand, take a recommender apart, and end with two ways to get a number that is too good. All of it runs on the
# planted world, with the transformer of [the chapter on recommenders](02_recommender.ipynb), which is trained already.
#
# One star: predict or read a number. Two stars: write a few lines. Three stars: a small piece of research, with a part
# that can be checked. The last cell of each exercise says what is wrong, and never what the answer is.

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import torch

from recsae_book import artifacts
from recsae_checks import recommenders as check
from recsae_core.recommenders import build, cases, ranking

parts = artifacts.parts("planted")
n_items = parts.train.n_items
model = artifacts.get("planted/transformer", seed=0)
held = cases.leave_last_out(parts.test, model.config.length)
print(f"{len(held)} test users, {n_items} items, one hidden item a user")

# %% [markdown]
# `held.cases` are the histories, `held.target` holds the item that each user took next, and `held.seen` every item
# that the user had taken before. `ranking.evaluate(scorer, held)` ranks with the book's own rules.
#
# (ex-1-1)=
# ## Exercise 1.1 ★ NDCG by hand
#
# Three users, one hidden item each. A recommender ranks the hidden items at places 1, 4 and 15. With paper and pencil:
# what is NDCG@10, the mean over the users? Give `ndcg`, one number.
#
# ```{dropdown} Hint
# With one hidden item the ideal list has it at the first place, so that no other normalisation is needed.
# ```

# %% tags=["exercise"]
ndcg = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
gain_at_first, gain_at_fourth, gain_beyond_the_cut = 1.0, 1 / np.log2(5), 0.0
ndcg = (gain_at_first + gain_at_fourth + gain_beyond_the_cut) / 3

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# An item at place r is worth one over the binary logarithm of r + 1. Beyond the cut it is worth nothing, and yet its
# user counts in the mean. A mean over the users with a hit would reward a recommender that serves few of them.
# ```

# %% tags=["check"]
check.ex_1_1(ndcg)

# %% [markdown]
# (ex-1-2)=
# ## Exercise 1.2 ★★ Ranks, ties and items seen
#
# Write `rank_of_target(scores, target, seen)`. `scores` is a float tensor `[n, i]`, `target` holds one item a row,
# `seen` is a boolean tensor `[n, i]` of items that do not take part. The result is a tensor `[n]` of ranks, counted
# from 1. An item that is not seen and has the *same* score as the target stands before it.
#
# Why so strict? Think of a scorer that gives every item 0.


# %% tags=["exercise"]
def rank_of_target(scores, target, seen):
    """Rank of each row's target among the items not seen, from 1."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def rank_of_target(scores, target, seen):
    """Rank of each row's target among the items not seen, from 1."""
    wanted = scores.gather(1, target[:, None])
    at_least_as_good = (scores >= wanted) & ~seen
    return at_least_as_good.sum(1)


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The comparison includes the target itself, so that counting begins at 1. With a strict comparison the scorer that
# gives every item 0 would put every target first and win every contest.
# ```

# %% tags=["check"]
check.ex_1_2(rank_of_target)

# %% [markdown]
# (ex-1-3)=
# ## Exercise 1.3 ★ How many items does the most popular list show?
#
# A recommender by popularity scores all users alike. **Predict first**: what share of all items does it show in the ten
# best of at least one test user? Exactly ten items? Then compute `shown`, that share, for popularity learned from
# `parts.train`. No user is shown an item that is in `held.seen`.
#
# ```{dropdown} Hint
# `build("most-popular", n_items=n_items).learn(parts.train)` is the scorer; a `Ranking` has a method `coverage`.
# ```

# %% tags=["exercise"]
shown = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
by_count = build("most-popular", n_items=n_items).learn(parts.train)
shown = ranking.evaluate(by_count, held).coverage(10)
print(f"{shown:.3f} of the items; ten items would be {10 / n_items:.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Who has taken the favourites already is shown what comes after them, so that the lists differ after all. Still nearly
# the whole catalogue stays unseen: the strongest argument against a recommender that only counts.
# ```

# %% tags=["check"]
check.ex_1_3(shown, parts, held)

# %% [markdown]
# (ex-1-4)=
# ## Exercise 1.4 ★★ The loss of a pair, and where it pushes
#
# Matrix factorisation scores a user `p` and an item `q`, two vectors `[d]`, by the logit $p \cdot q$. With the label
# `y`, 1 if the user took the item and 0 if not, the loss is $-y \log \sigma(p \cdot q) - (1 - y) \log (1 - \sigma(p
# \cdot q))$. Write `push(p, q, y)` that returns three things: the loss (a float), its gradient with respect to `p`, and
# that with respect to `q`. Plain numpy, no automatic differentiation.


# %% tags=["exercise"]
def push(p, q, y):
    """Loss of one pair, and its gradients with respect to p and q."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def push(p, q, y):
    """Loss of one pair, and its gradients with respect to p and q."""
    logit = p @ q
    loss = np.logaddexp(0.0, logit) - y * logit  # stable for any logit
    surprise = 1 / (1 + np.exp(-logit)) - y
    return loss, surprise * q, surprise * p


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The derivative with respect to the logit is the surprise: what was predicted less what happened. A step against the
# gradient moves the user towards a taken item, the more the less it was expected, and away from the others.
# ```

# %% tags=["check"]
check.ex_1_4(push)

# %% [markdown]
# (ex-1-5)=
# ## Exercise 1.5 ★★ Backwards in time
#
# Does the transformer use the order of a history, or only what is in it? To find out, turn histories around. Write
# `backwards(history)`: `history` is an integer tensor `[n, t]`, oldest item first, filled up with -1 **on the right**.
# The result has the same shape and the same fill, with each row's items in reverse order. Leave the input as it is.
# When your check says right, evaluate the model on `backwards(held.cases.history)` and compare.


# %% tags=["exercise"]
def backwards(history):
    """Each row's items in reverse order, -1 still on the right."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def backwards(history):
    """Each row's items in reverse order, -1 still on the right."""
    length = (history >= 0).sum(1, keepdim=True)
    source = length - 1 - torch.arange(history.shape[1])
    turned = history.gather(1, source.clamp(min=0))
    return torch.where(source >= 0, turned, -1)


turned_cases = replace(held.cases, history=backwards(held.cases.history))
for name, asked in {
    "as it was": held.cases,
    "reversed": turned_cases,
}.items():
    quality = ranking.evaluate(model, replace(held, cases=asked))
    print(f"NDCG@10, history {name}: {quality['ndcg@10'].mean():.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The same items in another order give another list, and a far worse one: in this world a choice resembles the one
# before it. `flip` alone would move the fill to the front, where the model meets it as the oldest items.
# ```

# %% tags=["check"]
check.ex_1_5(backwards)

# %% [markdown]
# (ex-1-6)=
# ## Exercise 1.6 ★★ Stopped half-way
#
# Everything in this book rests on one law: a recommender that is stopped at a site and then finished gives the scores
# that it gives when it is not stopped. Write `in_two_steps(model, site, asked)`. It stops `model` at `site` for the
# cases `asked` with `model.before(site, asked)`, and returns a pair: the vectors at the site, and the scores that
# `finish` makes **of a copy of them with every vector multiplied by 1**. `model(asked)` itself must not be called.


# %% tags=["exercise"]
def in_two_steps(model, site, asked):
    """The vectors at a site, and the scores that the rest of the model makes of them."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def in_two_steps(model, site, asked):
    """The vectors at a site, and the scores that the rest of the model makes of them."""
    stopped = model.before(site, asked)
    with torch.no_grad():
        scores = stopped.finish(stopped.h.clone() * 1.0)
    return stopped.h, scores


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# One stop gives both. Whatever is done to the vectors between the two steps, an autoencoder's copy or an edit, its
# effect on the list is then the effect of that and of nothing else.
# ```

# %% tags=["check"]
check.ex_1_6(in_two_steps)

# %% [markdown]
# (ex-1-7)=
# ## Exercise 1.7 ★★ A user who came late
#
# Matrix factorisation has a vector for each user it was trained on, and none for a new one. But the items have vectors:
# find the user's. Write `fold_in(items, taken, l2)`: `items` is a float array `[i, d]`, `taken` a list of item ids.
# Return the vector `p` `[d]` that makes $\sum_{i \in \mathrm{taken}} (1 - p \cdot q_i)^2 + \mathrm{l2}\, \|p\|^2$
# smallest.
#
# ```{dropdown} Hint
# Set the gradient to zero: a linear system of size d. It has one solution for every l2 above 0, even for one item.
# ```


# %% tags=["exercise"]
def fold_in(items, taken, l2):
    """The vector of a user who took some items."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def fold_in(items, taken, l2):
    """The vector of a user who took some items."""
    q = items[taken]
    normal = q.T @ q + l2 * np.eye(q.shape[1])
    return np.linalg.solve(normal, q.sum(0))


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A ridge regression of ones on the vectors of what was taken. The mean of the vectors points roughly there, but knows
# nothing of how often a direction occurs. With no item at all the vector is zero: only biases remain, and the list is
# that of the most popular. A sequence model needs none of this: it reads the history of anybody.
# ```

# %% tags=["check"]
check.ex_1_7(fold_in)

# %% [markdown]
# (ex-1-8)=
# ## Exercise 1.8 ★★★ Ranked among a hundred
#
# Many papers rank the hidden item among 99 items drawn at random. What does that do to the numbers? Write
# `hit_if_sampled(rank, unseen, drawn, k)`: the probability that the target is among the `k` best of itself and `drawn`
# other items, when it stands at `rank` (from 1) among `unseen` items in all and the others are drawn **without
# replacement** from the rest. All four are integers, `1 <= rank <= unseen`, `drawn < unseen`. Return a float.
#
# **Then go on**: average it over the ranks of the transformer and of popularity (`ranking.evaluate(...).rank`). By which
# factor does each grow from full to sampled HR@10? Does the distance between them keep its meaning? Find a pair of
# scorers whose order the sample reverses, or say why there is none.
#
# ```{dropdown} Hint
# What must be true of the drawn items for the target to be among the k best? `scipy.stats` knows the distribution of the
# number of better items among them.
# ```


# %% tags=["exercise"]
def hit_if_sampled(rank, unseen, drawn, k):
    """Probability that the target is among the k best of itself and drawn others."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
from scipy.stats import hypergeom


def hit_if_sampled(rank, unseen, drawn, k):
    """Probability that the target is among the k best of itself and drawn others."""
    better_in_all, others = rank - 1, unseen - 1
    return float(hypergeom.cdf(k - 1, others, better_in_all, drawn))


popular = build("most-popular", n_items=n_items).learn(parts.train)
unseen = n_items - (held.seen >= 0).sum(1).numpy()
for name, scorer in {"transformer": model, "popularity": popular}.items():
    rank = np.minimum(ranking.evaluate(scorer, held).rank, unseen)
    sampled = [
        hit_if_sampled(r, u, 99, 10)
        for r, u in zip(rank, unseen, strict=True)
    ]
    print(f"{name}: {np.mean(rank <= 10):.3f} -> {np.mean(sampled):.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Of the items that beat the target at most k - 1 may be drawn. A target that stands in the middle of a long list is
# beaten by few of a hundred, so that a scorer that only knows the upper half of the catalogue looks good. Sampled and
# full HR measure different things; a scorer with many targets at places a little below the cut wins in the sample
# against one with some at the very top and the others nowhere (Krichene and Rendle 2020).
# ```

# %% tags=["check"]
check.ex_1_8(hit_if_sampled)

# %% [markdown]
# (ex-1-9)=
# ## Exercise 1.9 ★★★ A leak
#
# `ease` predicts with a linear map between items that is fitted to histories. Honest: it is learned from `parts.train`,
# whose users are not the test users. Leaky: it is learned from train and from the *whole* histories of the test users,
# hidden items included, as happens when somebody computes item similarities before splitting. Give `leak`, a
# dictionary with NDCG@10 on `held` of both: `{"honest": ..., "leaky": ...}`, with `l2=30.0`. `with_rows` joins tables.
#
# **Then go on**: which scorers suffer most from the same leak (`most-popular`, `item-knn`, other values of `l2`), and
# why? How many leaked users are enough for EASE to reach the transformer? Would you notice without the honest number?


# %% tags=["hide-input"]
def with_rows(first, second):
    """The interactions of the users of two tables over the same items."""
    ids = np.concatenate([first.user_ids, second.user_ids])
    user = np.concatenate([first.user, second.user + first.n_users])
    item = np.concatenate([first.item, second.item])
    return replace(
        first,
        user=user,
        item=item,
        user_ids=ids,
        time=None,
        rating=None,
        users=None,
    )


# %% tags=["exercise"]
leak = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
learned_from = {
    "honest": parts.train,
    "leaky": with_rows(parts.train, parts.test),
}
leak = {}
for name, rows in learned_from.items():
    ease = build("ease", n_items=n_items, l2=30.0).learn(rows)
    leak[name] = float(ranking.evaluate(ease, held)["ndcg@10"].mean())
    print(f"{name}: {leak[name]:.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A flexible map can remember which item went with a history; a count of items cannot, and hardly moves. So a leak helps
# the methods that can remember, and a comparison of methods measures memory. The honest number needs users, or times,
# that nothing was computed from.
# ```

# %% tags=["check"]
check.ex_1_9(leak, parts, held)
