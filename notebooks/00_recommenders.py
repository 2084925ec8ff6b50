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
# # Recommenders from zero
#
# A recommender is a function. In goes what somebody took so far; out comes one number for each item, a **score**; the
# items with the highest scores are the list that the person sees. This chapter builds such functions, from the list of
# the most popular items to a transformer, and measures them. It ends where the next chapter begins: inside the last
# one, at a vector that nobody can read.
#
# We work in a *planted world*: a generator in which we decided who likes what and drew every choice from probabilities
# that we wrote down. So we can ask a question that real data never answer: how good could a recommender be *at best*?
#
# **Questions.** What does it take to beat the list of the most popular items? Does it matter in which *order* somebody
# took things? And how is a list measured without fooling oneself?

# %% tags=["parameters"]
seed: int = 0  # of the hidden items and of the first vectors
width: int = 32  # numbers in the vector of a user or an item
steps: int = 120  # of the training of matrix factorisation
decay: float = 0.1  # how strongly its vectors are pulled to zero
k: int = 10  # items on a list

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from recsae_book import artifacts, figures, results
from recsae_book.figures import from_zero
from recsae_book.results import Result
from recsae_core.data import planted
from recsae_core.interpret import statistics
from recsae_core.recommenders import cases, ranking

# %% [markdown]
# ## One life
#
# Data for recommenders are rows of *who took what when*. Here are a few rows of one person. The last two columns are
# the truth of this world, which no recommender is told: the taste that was at work, and whether the choice was a whim,
# made by popularity alone. A taste lasts for a few choices, and then another one takes over. Nobody takes an item
# twice.

# %%
world, truth = planted.generate(planted.World())
genres = np.array(world.attribute_names)
titles = world.items["title"].to_numpy()


def of_item(item: int) -> str:
    """The genres of an item, as text."""
    return ", ".join(genres[world.attributes[item]])


rows = np.flatnonzero(world.user == 5)[:9]
pd.DataFrame(
    {
        "title": titles[world.item[rows]],
        "genres": [of_item(i) for i in world.item[rows]],
        "taste at work": [
            " and ".join(genres[np.argsort(-truth.profiles[t])[:2]])
            for t in truth.taste[rows]
        ],
        "whim": truth.whim[rows],
    }
)

# %% [markdown]
# The rows can be read in two ways. Forget the order, and each person is a *set* of items: a row of a large table with a
# one for each item taken. Keep it, and each person is a *sequence*. We begin with the table.
#
# Two items of each person are hidden from every recommender: one drawn **at random** from the middle, and the
# **last** one. To find them again is the exam.

# %%
parts = artifacts.parts("planted")  # three groups of people; the third is new
histories = [h for part in parts.tables for h in part.histories()]
draw = np.random.default_rng(seed)
last = np.array([h[-1] for h in histories])
middle = np.array([h[draw.integers(len(h) - 1)] for h in histories])

n_users, n_items = len(histories), world.n_items
everyone = torch.arange(n_users)
taken = torch.zeros(n_users, n_items)
for user, history in enumerate(histories):
    taken[user, history] = 1
known = taken.clone()
known[everyone, middle] = 0
known[everyone, last] = 0
print(
    f"{n_users} people, {n_items} items, {known.mean():.1%} of the table is 1"
)

# %% mystnb={"figure": {"caption": "Left: the table, for eighty people drawn at random; a dot is an item taken. Right: the share of all choices that falls on the most popular items.", "name": "fig-zero-table"}, "image": {"alt": "Left, a field of black dots, dense at the left edge and sparse at the right. Right, a curve that rises steeply and then bends above the diagonal."}}
count = known.sum(0)
popular_first = count.argsort(descending=True)
some = np.random.default_rng(seed).choice(n_users, 80, replace=False)
from_zero.took(known[some][:, popular_first], count[popular_first])

# %% [markdown]
# **What to look for.** Most of the table is empty, and empty does not mean *disliked*: it means *not taken*, usually
# because nobody has time for hundreds of things. And a few items are taken by very many. That makes the first
# recommender, which knows nothing of the person, hard to beat: show everybody the **most popular** items that they have
# not taken yet.
#
# ## How a list is measured
#
# Score all items for a person, take out those already taken, sort. Let $r$ be the place of the hidden item in that
# order, 1 being the top. Two summaries of $r$ are common, both averaged over people. The **hit rate** asks whether the
# item is on the list of $k$ at all; **NDCG** also asks how far up it is:
#
# $$
# \mathrm{HR@}k = \mathbb{1}[r \le k], \qquad \mathrm{NDCG@}k = \frac{\mathbb{1}[r \le k]}{\log_2 (r + 1)} .
# $$ (eq-zero-ndcg)
#
# A first place counts 1, a third place a half, place $k+1$ nothing. With one hidden item, hit rate and **recall** (the
# share of the hidden items that are on the list) are the same number; with several they are not.


# %%
def place(scores, target, taken_before):
    """Where each person's target stands among the items not taken."""
    open_ = taken_before == 0
    own = scores.gather(1, target[:, None])
    return ((scores >= own) & open_).sum(1)  # ties stand before the target


def hit(r):
    """HR@k of each person."""
    return (r <= k).float()


def ndcg(r):
    """NDCG@k of each person."""
    return torch.where(r <= k, 1 / torch.log2(r + 1.0), 0.0)


r = torch.tensor([1, 2, 3, k, k + 1])
pd.DataFrame(
    {f"HR@{k}": hit(r), f"NDCG@{k}": ndcg(r)},
    index=pd.Index(r.tolist(), name="place"),
).round(2)

# %% [markdown]
# ## Matrix factorisation, by hand
#
# Give each user $u$ a vector $p_u$ of a few numbers, each item $i$ a vector $q_i$ and a popularity $b_i$, and score
#
# $$
# s_{ui} = b_i + p_u \cdot q_i .
# $$ (eq-zero-mf)
#
# All vectors begin at random and are learned: the scores of a user, turned into probabilities by a softmax, should put
# their mass on the items that the user took. The table has many times as many cells as the vectors have numbers, so
# they cannot store it; they have to find what its rows have in common. This is all of it.


# %%
def factorise(table, width, steps, decay, g, lr=0.05):
    """Vectors of users and items, and popularities, learned from a table."""
    n, i = table.shape
    P = 0.1 * torch.randn(n, width, generator=g)
    Q = 0.1 * torch.randn(i, width, generator=g)
    b = torch.zeros(i)
    parameters = [t.requires_grad_() for t in (P, Q, b)]
    optimiser = torch.optim.Adam(parameters, lr=lr, fused=True)
    for _ in range(steps):
        scores = P @ Q.T + b
        loss = -(table * scores.log_softmax(1)).sum() / table.sum()
        small = (P.square().sum() + Q.square().sum()) / n
        optimiser.zero_grad()
        (loss + decay * small).backward()
        optimiser.step()
    return [t.detach() for t in parameters]


g = torch.Generator().manual_seed(seed)
P, Q, b = factorise(known, width, steps, decay, g)

scores = {
    "most popular": count.expand(n_users, -1),
    "matrix factorisation": P @ Q.T + b,
}
before_last = taken.clone()
before_last[everyone, last] = 0
hidden = {
    "an item of the middle": (torch.from_numpy(middle), known),
    "the last item": (torch.from_numpy(last), before_last),
}
places = {
    (name, what): place(s, *asked)
    for name, s in scores.items()
    for what, asked in hidden.items()
}
pd.DataFrame(
    {
        pair: {f"HR@{k}": hit(r).mean(), f"NDCG@{k}": ndcg(r).mean()}
        for pair, r in places.items()
    },
    dtype=float,
).T.round(3)

# %% [markdown]
# **What to look for.** For the item hidden at random, matrix factorisation should leave popularity far behind. For the
# *last* item the gain shrinks. The table cannot say why: it knows what a person takes over a life, not what the person
# is after today. (How items are hidden decides which recommender wins; the second paper of this book hides at random,
# the other two hide the last.)
#
# ## What the vectors know
#
# Nobody told the vectors about genres. Two items are close in this space if the same people take them. Below is the
# plane in which the directions of the item vectors spread most, drawn once for each of eight genres.

# %% mystnb={"figure": {"caption": "The items in the plane of largest spread of their vectors, once a genre; items that have the genre are blue. The vectors were learned from the table alone.", "name": "fig-zero-map"}, "image": {"alt": "Eight small maps of the same cloud of dots. In each the blue dots of one genre gather in a region; the regions of Riddle and Ghost are the same one, those of other genres overlap."}}
direction = torch.nn.functional.normalize(Q, dim=1)
spread = direction - direction.mean(0)
plane = torch.linalg.svd(spread, full_matrices=False)[2][:2]
shown = ["City", "Machine", "Mountain", "Song"]
shown += ["Riddle", "Ghost", "Kitchen", "Court"]
from_zero.item_map(
    spread @ plane.T,
    {name: world.attributes[:, world.attribute(name)] for name in shown},
)

# %%
close = direction @ direction.T
close.fill_diagonal_(-1)
has = torch.from_numpy(world.attributes).float()
common = (has @ has.T > 0).float()
neighbour = common.gather(1, close.argmax(1, keepdim=True)).flatten()
chance = (common.sum(1) - 1) / (n_items - 1)
print(f"{neighbour.mean():.1%} of the nearest neighbours share a genre,")
print(f"{chance.mean():.1%} of random pairs do")

# %% [markdown]
# Genres are *regions* of the cloud. Are they *coordinates*? Rank the items by one number of their vectors, or by their
# product with some other direction, and look at the ten at the top: how many of them share the genre that is most
# frequent among them?


# %%
def purity(directions):
    """Share of the most frequent genre among the ten top items, a mean."""
    top = (direction @ directions.T).topk(10, dim=0).indices
    return has[top].mean(0).amax(1).mean()


g = torch.Generator().manual_seed(seed)
axes = torch.eye(width)
ten = [has[torch.randperm(n_items, generator=g)[:10]] for _ in range(500)]
pd.Series(
    {
        "the coordinates, both ends": purity(torch.cat([axes, -axes])),
        "random directions": purity(torch.randn(500, width, generator=g)),
        "towards single items": purity(direction),
        "ten random items": torch.stack(ten).mean(1).amax(1).mean(),
    },
    name="purity of the top ten",
    dtype=float,
).round(2).to_frame()

# %% [markdown]
# Here is the problem of this book in one table. The vectors know the genres: where items lie, their neighbours are of
# the same kind. But **the coordinates say no more than directions drawn at random.** That is no accident. Turn the
# whole space by any rotation, and every score in {eq}`eq-zero-mf` and the decay stay the same: nothing that we asked of
# the vectors prefers these axes to others. What a vector knows has to be looked for in other directions than its axes.
#
# ## Sequences
#
# A sequence model reads the history in order and predicts what comes next. Ours is a small **transformer**, trained on
# other people than those we test it on, and loaded here. It works in four steps.
#
# 1. Each item $i$ of the history becomes a vector, $x_t = e_i + a_t$: one that is learned for the item plus one for its
#    place $t$.
# 2. In a **block**, each place looks back. It compares a *query* of its own with the *keys* of the places before it, and
#    adds what it finds there, $\sum_{s \le t} w_{ts} v_s$ with $w_{ts} \propto \exp(\mathrm{query}_t \cdot
#    \mathrm{key}_s)$. A small network then works on each place alone, and its result is added too.
# 3. After two blocks the vector $h$ of the last place stands for the person now.
# 4. The score of an item is again an inner product, $s_i = h \cdot e_i$.
#
# The last step is that of {eq}`eq-zero-mf`. What is new is where the user's vector comes from: it is *computed* from
# the history instead of being stored, so a new person needs no new training, and it changes with every choice.

# %%
model = artifacts.get("planted/transformer", seed=0)
people = parts.test.histories()  # none of them trained the transformer
offset = n_users - len(people)  # their rows in the table above


@torch.no_grad()
def predict(shown):
    """Scores of all items after each of some histories."""
    return model(cases.from_lists([list(h) for h in shown]))


seen = torch.zeros(len(people), n_items)
for user, history in enumerate(people):
    seen[user, history[:-1]] = 1
target = torch.tensor([int(h[-1]) for h in people])
lists = predict([h[:-1] for h in people]).masked_fill(seen > 0, -torch.inf)
who = 3  # one of the people
print("taken next:", of_item(target[who]), end=", ")
print("at place", place(lists, target, seen)[who].item(), "of the list")
pd.DataFrame(
    {
        "the last five taken": [of_item(i) for i in people[who][-6:-1]],
        "the top five of the list": [
            of_item(i) for i in lists[who].topk(5).indices
        ],
    },
    index=pd.RangeIndex(1, 6),
)

# %% [markdown]
# **Does order matter, and which part of it?** Shuffle each history before the model reads it: the items are the same,
# so a model of sets would not notice. Then show it the last item and nothing else. Beside it stands a recommender for
# which nothing new is learned: the items *like the last one*, $s_i = b_i + q_j \cdot q_i$ with $j$ the last item taken
# and the vectors of the matrix factorisation.
#
# The **oracle** knows the laws of the world, all tastes, and which one is at work. It does not know the draw. Its NDCG
# is the ceiling: not 1, because people who could have taken many things took one.

# %%
mixed = [draw.permutation(h[:-1]) for h in people]
inside = {user: row for row, user in enumerate(world.user_ids)}
event = [inside[user] for user in parts.test.user_ids]  # their last events
event = np.searchsorted(world.user, event, side="right") - 1
by = {
    "oracle": torch.from_numpy(truth.oracle(event)),
    "transformer": predict([h[:-1] for h in people]),
    "transformer, the last item alone": predict([h[-2:-1] for h in people]),
    "transformer, shuffled": predict(mixed),
    "like the last item": Q[[h[-2] for h in people]] @ Q.T + b,
    "matrix factorisation": scores["matrix factorisation"][offset:],
    "most popular": scores["most popular"][offset:],
}
quality = {
    name: statistics.bootstrap_mean(
        ndcg(place(s, target, seen)).numpy(), np.random.default_rng(0)
    )
    for name, s in by.items()
}

# %% mystnb={"figure": {"caption": "NDCG at the last item of people who did not train the transformer, all items ranked, with 95% bootstrap intervals over people. The ceiling is the oracle.", "name": "fig-zero-quality"}, "image": {"alt": "Six bars and a dashed line for the oracle. The transformer, the transformer with the last item alone, and the items like the last one are about as long and end before the line; the shuffled transformer, matrix factorisation and the most popular items are short."}}
shown = [name for name in quality if name != "oracle"]
figures.mean_bars(
    [quality[name].value for name in shown],
    shown,
    low=[quality[name].low for name in shown],
    high=[quality[name].high for name in shown],
    references={"oracle": quality["oracle"].value},
    xlabel=f"NDCG@{k} of the last item",
    ylabel="Recommender",
)

# %% [markdown]
# **What to look for.** Shuffling takes almost everything away, so order matters. But the last item alone gives almost
# everything back: of the order, this model uses where the history *ends*. And the items like the last one, which no
# transformer is needed for, are not far behind; where two intervals overlap that much, two hundred people cannot tell
# the recommenders apart. **A simple recommender that is asked the right question is a better yardstick than
# popularity.** (Two limits. The model was never trained on shuffled histories: the test says what *it* reads, not what
# there is to be read. And the vectors of the items like the last one have seen the rest of these people's table, which
# the transformer has not. Real data have other habits; {doc}`/notebooks/02_recommender` asks them the same questions.)
#
# Compare the best bar with the *oracle* and not with 1: what is left between them is all that a better model could win.
#
# ## Two ways to fool oneself
#
# **Ranking a sample.** To save time, many papers rank the hidden item among itself and a hundred items drawn at random
# instead of among all. The numbers look better for everybody, and they shrink the differences: a recommender that
# cannot tell the best ten from the best fifty is no longer found out. This book ranks *all* items.
#
# **Peeking.** What decides (when training stops, how wide the vectors are, which latent is shown) must not score. This
# page sins: its `width` and `decay` are the best of seven pairs, and the seven were compared by hidden items such as
# these, so the numbers of the matrix factorisation are a little too good. In the rest of the book one group of people,
# or one half of the items, decides, and another one scores.


# %%
def among(n, s):
    """NDCG where the target competes with ``n`` random unseen items only."""
    order = torch.rand(seen.shape, generator=g).masked_fill_(seen > 0, 2)
    order.scatter_(1, target[:, None], 2)  # the target is no competitor
    rivals = order.argsort(1)[:, :n]
    own = s.gather(1, target[:, None])
    return ndcg((s.gather(1, rivals) >= own).sum(1) + 1).mean()


g = torch.Generator().manual_seed(seed)
pd.DataFrame(
    {
        name: {
            "all items": quality[name].value,
            "one hundred drawn": among(100, s),
        }
        for name, s in by.items()
    },
    dtype=float,
).T.round(3)

# %% [markdown]
# The library's `ranking.evaluate` does what `place` and `ndcg` do. That both agree is worth a line.

# %%
holdout = cases.leave_last_out(parts.test, model.config.length)
same = ranking.evaluate(model, holdout)[f"ndcg@{k}"].mean()
print(f"by hand {quality['transformer'].value:.6f}, library {same:.6f}")

# %% [markdown]
# ## Stop half-way
#
# Now stop the transformer after its first block. What stands there is a vector for each place of each history, `h`; the
# rest of the model is a function of it, `finish`. Run on without touching `h` and the scores are those of the model:

# %%
asked = cases.from_lists([list(h[:-1]) for h in people[:50]])
split = model.before("block0", asked)
gap = (split.finish(split.h) - model(asked)).abs().max()
print(f"h: {tuple(split.h.shape)}, largest difference {gap.item():.1e}")

# %% [markdown]
# That is the whole trick of this book. Between `h` and `finish` we may look at the vectors, rewrite them or change
# them, and see what becomes of the lists. The next chapter, {doc}`/notebooks/00_autoencoders`, builds the tool that
# looks. What real recommenders on real data are worth is in {doc}`/notebooks/02_recommender` and
# {doc}`/notebooks/13_two_towers`.


# %% tags=["hide-input"]
def result(value, n, against=None, **more):
    """A row of the scoreboard."""
    return Result(
        value=value,
        n=n,
        unit=f"ndcg@{k}",
        better="higher",
        against=against and f"planted/from-zero/{against}",
        **more,
    )


short = {
    "oracle": "oracle",
    "transformer": "transformer",
    "transformer, shuffled": "shuffled",
    "like the last item": "like-last",
    "matrix factorisation": "mf",
    "most popular": "popular",
}
read = ("transformer", "shuffled")
last_item = {
    f"planted/from-zero/{name}-next-ndcg": result(
        quality[long].value,
        len(people),
        "like-last-next-ndcg" if name == "transformer" else None,
        low=quality[long].low,
        high=quality[long].high,
        interval="95%, bootstrap over users",
        note="the last item of people who did not train the transformer",
        artifacts=["planted/transformer"] if name in read else [],
    )
    for long, name in short.items()
}
in_middle = {
    f"planted/from-zero/{short[name]}-middle-ndcg": result(
        float(ndcg(places[name, "an item of the middle"]).mean()),
        n_users,
        "popular-middle-ndcg" if short[name] == "mf" else None,
        note="an item of the middle of the history, drawn at random",
    )
    for name in scores
}
results.write("00_recommenders", last_item | in_middle)
