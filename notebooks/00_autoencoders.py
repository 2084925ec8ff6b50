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
# # Sparse autoencoders from zero
#
# {doc}`/notebooks/00_recommenders` stopped at a vector: a few dozen numbers that a recommender makes of a person, full
# of knowledge about genres, with coordinates that say no more than random directions. This chapter builds the tool that
# looks for better directions, a **sparse autoencoder** (SAE), from nothing. First on a toy in which we know every
# direction that is there, so that we can watch the SAE find them. Then on the vectors of a recommender.
#
# **Questions.** How can a vector of 16 numbers hold 32 concepts? Why should a network that only copies its input find
# them? What can go wrong, and how would one notice where the truth is not known?

# %% tags=["parameters"]
seed: int = 0
d: int = 16  # numbers in a vector of the toy
concepts: int = 32  # true directions of the toy
active: int = 3  # of them in a vector, on average
m: int = 64  # latents of the toy's SAE
k: int = 3  # of them that may be active
steps: int = 800  # of its training
short: int = 250  # of the trainings that compare settings
latents: int = 128  # of the SAE of the recommender
right: int = 8  # of them that may be active

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import normalize

from recsae_book import artifacts, figures, results
from recsae_book.figures import from_zero
from recsae_book.figures.player import Player
from recsae_book.results import Result
from recsae_core.interpret import alignment, dictionaries, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.sae import SAE, SAEConfig, TrainConfig, fit, metrics


def generator(offset: int = 0) -> torch.Generator:
    """Randomness of this page, a stream for each offset."""
    return torch.Generator().manual_seed(1000 * seed + offset)


# %% [markdown]
# ## More concepts than dimensions
#
# Suppose a vector $h$ is a sum of **directions**, one for each concept that is present, each with a strength:
#
# $$
# h = \sum_{j} a_j f_j , \qquad a_j \ge 0, \ \text{most } a_j = 0 .
# $$ (eq-zero-sum)
#
# In a plane there is room for two directions at right angles. But nothing forbids five. The picture shows five
# directions and vectors that are made of one, two or all of them.

# %% mystnb={"figure": {"caption": "Five directions in a plane (arrows) and vectors made of one, two, or all five of them (dots).", "name": "fig-zero-superposition"}, "image": {"alt": "Three panels with the same five arrows. Left, all dots lie on the arrows; in the middle they fill the space between neighbouring arrows; right, they are a round cloud without structure."}}
angle = torch.arange(5) * 2 * torch.pi / 5 + 0.3
arrows = torch.stack([angle.cos(), angle.sin()], 1)


def mixture(n: int, at_once: int, g: torch.Generator) -> torch.Tensor:
    """Vectors with so many of the five directions present."""
    chosen = torch.rand(n, 5, generator=g).argsort(1) < at_once
    rows = (chosen * 1.5 * torch.rand(n, 5, generator=g)) @ arrows
    return rows + 0.03 * torch.randn(n, 2, generator=g)


from_zero.superposition(
    arrows,
    {
        "One at a time": mixture(250, 1, generator()),
        "Two at a time": mixture(250, 2, generator()),
        "All at a time": mixture(250, 5, generator()),
    },
)

# %% [markdown]
# **What to look for.** On the left an eye that sees only the dots could draw the arrows; on the right nobody could. The
# difference is **sparsity**: how few concepts are present at once. This way to store more concepts than there are
# dimensions is called *superposition* (arXiv 2209.10652), and sparsity is what makes it legible.
#
# **Why a neuron is not a concept.** A neuron is a coordinate. Neuron 1 is the horizontal axis of the picture: how far
# does each of the five concepts, alone and at strength 1, turn it?

# %%
pd.DataFrame(
    arrows.numpy(),
    columns=["neuron 1", "neuron 2"],
    index=[f"concept {j}" for j in range(1, 6)],
).round(2)

# %% [markdown]
# Every concept turns both neurons, and a neuron's value can come from several concepts. Reading neurons is reading the
# shadows of the arrows on two walls.
#
# More dimensions make room for many more directions that are *nearly* at right angles. Our toy has 32 in a space of 16:
# their cosines with each other are not 0, but small enough.

# %%
g = generator()
true = normalize(torch.randn(concepts, d, generator=g), dim=1)
frequency = torch.arange(1.0, concepts + 1) ** -0.7  # the first are common
frequency = (frequency * active / frequency.sum()).clamp(max=0.9)


def toy(n: int, g: torch.Generator) -> torch.Tensor:
    """Vectors made of the true directions, with a little noise."""
    present = torch.rand(n, concepts, generator=g) < frequency
    strength = present * (0.5 + torch.rand(n, concepts, generator=g))
    return strength @ true + 0.05 * torch.randn(n, d, generator=g)


x, fresh = toy(20_000, g), toy(4_000, g)
cosine = (true @ true.T)[~torch.eye(concepts, dtype=torch.bool)].abs()
print(f"{concepts} directions in {d} dimensions:")
print(f"|cosine| {cosine.mean():.2f} on average, {cosine.max():.2f} at most")

# %% [markdown]
# ## An SAE, by hand
#
# Read {eq}`eq-zero-sum` backwards. We see $h$ and want the $a_j$, but we know neither them nor the $f_j$. So learn
# both. An **encoder** guesses strengths $z$, a **decoder** adds up its own directions $w_j$ with these strengths:
#
# $$
# z = \mathrm{sparsify}\bigl(W_\mathrm{enc} (h - b_\mathrm{dec}) + b_\mathrm{enc}\bigr), \qquad
# \hat h = \sum_{j=1}^{m} z_j w_j + b_\mathrm{dec} .
# $$ (eq-zero-sae)
#
# It is trained to copy, $\hat h \approx h$. A copy alone would be easy and worthless, for the $m$ **latents** $z_j$ are
# more numerous than the dimensions. The pressure comes from sparsity, for which there are two devices:
#
# - **TopK** keeps the $k$ largest latents of each row and sets the others to zero.
# - **L1** lets the latents alone and adds their sum to the loss, so that each must be worth its price.
#
# The rows of $W_\mathrm{dec}$ have length 1. Otherwise an L1 penalty is dodged by small latents on long directions.


# %%
class TinySAE(torch.nn.Module):
    """A sparse autoencoder of rows of width ``d`` with ``m`` latents."""

    def __init__(self, d, m, g, k=None):
        super().__init__()
        self.k = k
        W = normalize(torch.randn(m, d, generator=g), dim=1)
        self.W_dec = torch.nn.Parameter(W)
        self.W_enc = torch.nn.Parameter(W.clone())
        self.b_enc = torch.nn.Parameter(torch.zeros(m))
        self.b_dec = torch.nn.Parameter(torch.zeros(d))

    def encode(self, x):
        z = ((x - self.b_dec) @ self.W_enc.T + self.b_enc).relu()
        if self.k is not None:  # TopK
            z = z * (z >= z.topk(self.k).values[:, -1:])
        return z

    def decode(self, z):
        return z @ self.W_dec + self.b_dec


def train(sae, batches, l1=0.0, lr=0.015, watch=()):
    """Train in place; directions and loss at the steps to watch."""
    optimiser = torch.optim.Adam(sae.parameters(), lr=lr, fused=True)
    W, seen = sae.W_dec, []
    for step, h in enumerate(batches):
        z = sae.encode(h)
        loss = (sae.decode(z) - h).square().sum(1).mean()
        loss = loss + l1 * z.sum(1).mean()  # L1
        if step in watch:
            seen.append((W.detach().clone(), loss.item()))
        optimiser.zero_grad()
        loss.backward()
        W.grad -= (W.grad * W).sum(1, keepdim=True) * W  # turn, not stretch
        optimiser.step()
        W.data = normalize(W.data, dim=1)
    return seen


# %% [markdown]
# ## Watch it find them
#
# We keep a copy of the directions $w_j$ at some steps of the training. For each *true* direction we ask how close the
# best of the latents has come: the largest cosine. With so many latents even random directions come somewhat close, and
# that is the dashed line to beat.


# %%
def batches(x, steps, g, size=128):
    """Random batches of rows."""
    for _ in range(steps):
        yield x[torch.randint(len(x), (size,), generator=g)]


def nearest(directions):
    """Cosine of each true direction with the best of some others."""
    return (true @ directions.T).amax(1).clamp(0, 1)


watch = sorted({0, *np.geomspace(1, steps - 1, 44).astype(int).tolist()})
sae = TinySAE(d, m, generator(1), k)
seen = train(sae, batches(x, steps, generator(2)), watch=watch)
cosines = torch.stack([nearest(W) for W, _ in seen])
error = [loss / x.var(0).sum().item() for _, loss in seen]
found = (cosines > 0.9).sum(1)
random = normalize(torch.randn(m, d, generator=generator(3)), dim=1)
chance = nearest(random).mean().item()
Player(
    cosines,
    [f"step {step}" for step in watch],
    [
        f"Step {step}: {n} of {concepts} true directions have a latent with "
        f"cosine above 0.9. Error of the copy {e:.2f}."
        for step, n, e in zip(watch, found.tolist(), error, strict=True)
    ],
    label=f"A bar for each of the {concepts} true directions, common ones "
    "left, rare ones right: the cosine with its best latent. Dashed: the mean "
    f"for {m} random directions.",
    goal=0.9,
    chance=chance,
)

# %% mystnb={"figure": {"caption": "The same over all of the training: mean over the true directions (thick), eight tenths of them (band), best and worst (thin); dashed, the mean for as many random directions.", "name": "fig-zero-learning"}, "image": {"alt": "A band that begins about the dashed line, rises slowly and then faster, and ends close to one; the line of the worst direction stays behind for long."}}
from_zero.learning(watch, cosines, chance)

# %% [markdown]
# **What to look for.** Move the slider slowly through the first steps. The error falls at once, because any set of
# directions copies a little, and not one direction is found: *a falling error is no sign of concepts*. Then they lock
# in, one after the other. Common concepts (bars on the left) tend to come first, since the error that they cause is met
# in every batch; but chance has a say, and some come late or not at all.
#
# Nobody told the SAE which directions are true, nor how many there are. It was asked to copy with few numbers, and the
# cheapest way to do so is to use the directions of which the data are made.
#
# ## The knobs
#
# **How many latents may be active?** Too few, and one latent has to stand for several concepts at once. Too many, and
# there are countless ways to write a vector down, of which the true one is no longer special. The average number of
# active latents is called **L0**; TopK sets it, L1 moves it with its weight. The error of the copy is given as **FVU**,
# the fraction of variance unexplained: 0 is perfect, 1 is no better than the mean.


# %% tags=["skip-verify"]
def measured(sae):
    """What an SAE does on fresh rows, and how close it is to the truth."""
    with torch.no_grad():
        z = sae.encode(fresh)
        error = (sae.decode(z) - fresh).square().sum()
    fires = z > 0
    closest = nearest(sae.W_dec.detach())
    return {
        "L0": fires.sum(1).float().mean().item(),
        "FVU": (error / (fresh - fresh.mean(0)).square().sum()).item(),
        "mean cosine": closest.mean().item(),
        "found": (closest > 0.9).sum().item(),
        "dead": (~fires.any(0)).sum().item(),
    }


def trained(k=None, l1=0.0, rows=x, centred=False):
    """A small SAE after a shorter training."""
    sae = TinySAE(d, m, generator(1), k)
    if centred:
        sae.b_dec.data = rows.mean(0)
    train(sae, batches(rows, short, generator(2)), l1)
    return sae


topk = {n: trained(k=n) for n in sorted({1, 2, k, 6, 12})}
l1 = {weight: trained(l1=weight) for weight in (0.1, 0.4, 1.0, 2.0)}
curves = {
    "TopK": {f"TopK, k = {n}": measured(one) for n, one in topk.items()},
    "L1": {f"L1, weight {w}": measured(one) for w, one in l1.items()},
}
whole = {"found": int, "dead": int}
pd.DataFrame(curves["TopK"] | curves["L1"]).T.round(2).astype(whole)

# %% tags=["skip-verify"] mystnb={"figure": {"caption": "How close the latents come to the true directions (left) and the error of the copy (right) over the number of active latents. The grey bar is the true number; dashed, random directions.", "name": "fig-zero-knobs"}, "image": {"alt": "Left, two curves that peak near the grey bar and fall on both sides towards the dashed line. Right, two curves that fall all the way to the right."}}
lines = {
    label: {
        name: (
            [row["L0"] for row in rows.values()],
            [row[key] for row in rows.values()],
        )
        for name, rows in curves.items()
    }
    for key, label in [
        ("mean cosine", "Mean cosine, true directions"),
        ("FVU", "FVU"),
    ]
}
lines["Mean cosine, true directions"]["random directions"] = (
    [1, 20],
    [chance, chance],
)
figures.sweep(
    lines,
    xlabel="Active latents a row (L0)",
    quiet=["random directions"],
    mark=active,
    columns=2,
)

# %% [markdown]
# **What to look for.** On the right every curve falls all the way: more active latents, a better copy. On the left the
# curves have a *peak*, and it lies where about as many latents are active as concepts are present, or a little beside.
# **A better copy is not a better reading**, and where the truth is unknown only the right panel can be drawn. That is
# why this book judges an SAE by what its latents mean on new items, never by its error alone. (At an equal L0 the copies
# of L1 are worse: its price is paid on the *size* of the latents too, so they end below the strengths they stand for.)
#
# **Dead latents, and the scale of the rows.** A latent that never fires is **dead**: no gradient reaches it, and it
# mostly stays dead. Some are harmless (there are more latents than concepts). But two properties of the *rows* matter that
# have nothing to do with concepts. If all rows are moved by a constant, the encoder meets that constant instead of the
# concepts, unless
# $b_\mathrm{dec}$ begins at their mean. And if all rows are ten times as long, the error is a hundred times as large and the
# L1 sum only ten times, so that the same weight means something else.


# %% tags=["skip-verify"]
moved = x + 3 * normalize(torch.ones(d), dim=0)
fresh_moved = fresh + 3 * normalize(torch.ones(d), dim=0)


def on(rows, sae):
    """Latents that are dead on rows, L0, and directions found."""
    with torch.no_grad():
        fires = sae.encode(rows) > 0
    return {
        "found": (nearest(sae.W_dec.detach()) > 0.9).sum().item(),
        "dead": (~fires.any(0)).sum().item(),
        "L0": fires.sum(1).float().mean().item(),
    }


pd.DataFrame(
    {
        f"TopK, k = {k}": on(fresh, topk[k]),
        "TopK, rows moved": on(fresh_moved, trained(k=k, rows=moved)),
        "TopK, rows moved, b_dec at the mean": on(
            fresh_moved, trained(k=k, rows=moved, centred=True)
        ),
        "L1, weight 0.4": on(fresh, l1[0.4]),
        "L1, rows ten times as long": on(
            10 * fresh, trained(l1=0.4, rows=10 * x)
        ),
    }
).T.round(1).astype(whole)

# %% [markdown]
# ## The library does the same
#
# `recsae_core.sae` is what the rest of the book uses: one class, whose sparsifier and loss are settings. Give it the
# same first weights and the same batches as our lines above, and it should end at the same directions.

# %% tags=["skip-verify"]
theirs = SAE(
    SAEConfig(d=d, m=m, sparsifier="topk", k=k, b_dec="zero"), generator(1)
)
ours = TinySAE(d, m, generator(1), k)
same = list(batches(x, 200, generator(2)))
train(ours, same, lr=0.01)
fit(
    [theirs],
    same,
    {"mse": 1.0},
    TrainConfig(rows=200 * 128, batch=128, lr=0.01, clip=None),
    generator=generator(),
    progress=False,
)
gap = (ours.W_dec - theirs.W_dec).abs().max().item()
print(f"after 200 steps the weights differ by at most {gap:.0e}")

# %% [markdown]
# ## The real thing
#
# Now the vectors of the transformer of {doc}`/notebooks/00_recommenders`, after its first block, one for each place of
# each history. Nobody can list its true directions. But the world is planted: we know the genres of every item. If a
# latent stands for a genre, it should fire where the item has the genre and be silent elsewhere. The measure is **F1**:
# the harmonic mean of *how many of the places where it fires have the genre* and *at how many of the places with the
# genre it fires*.
#
# With 128 latents and 16 genres something will always look good. So each number comes with two precautions:
#
# - **Held-out items.** The latent (and its threshold) is chosen on half of the items and scored on the other half.
# - **Nulls.** The same search among latents that learned nothing of this: the *neurons* themselves, *random directions*
#   behind a ReLU with as many active, and the SAE *before training*.

# %%
parts = artifacts.parts("planted")
model = artifacts.get("planted/transformer", seed=0)
length = model.config.length
rows, test = (
    activations.collect(model, "block0", cases.inputs(part, length))
    for part in (parts.sae, parts.test)  # to learn from, to score on
)
genres, names = parts.test.attributes, parts.test.attribute_names
halves = statistics.item_halves(
    np.bincount(parts.sae.item, minlength=parts.sae.n_items),
    5,
    np.random.default_rng(seed),
)

config = SAEConfig(
    d=rows.h.shape[1],
    m=latents,
    sparsifier="topk",
    k=right,
    standardize="scalar",
)
saes = [SAE(config, generator(10 + run)) for run in range(3)]
begin = [SAE(config, generator(10 + run)).prepare(rows.h) for run in range(3)]
fit(
    saes,
    rows.h,
    {"mse": 1.0},
    TrainConfig(rows=75_000, batch=512, lr=0.01, warmup=5_000),
    generator=generator(4),
    progress=False,
)
drawn = [
    dictionaries.random_relu(rows.h, latents, right, generator(20 + run))
    for run in range(3)
]
compared = {
    "SAE": [sae.eval() for sae in saes],
    "random directions": drawn,
    "untrained SAE": [
        dictionaries.untrained(one, rows.h, right) for one in begin
    ],
    "neurons": [dictionaries.neurons(rows.h)],
}
f1 = {
    name: np.array(
        [
            alignment.concept_f1(one, test.h, test.item, genres, halves)
            for one in several
        ]
    )
    for name, several in compared.items()
}
copies = {
    name: metrics.reconstruction(several[0], test.h)
    for name, several in compared.items()
}
pd.DataFrame(
    {
        name: {
            "F1, mean over genres": score.mean(),
            "lowest of the runs": score.mean(1).min(),
            "highest": score.mean(1).max(),
            "active latents": copies[name].l0,
            "FVU": copies[name].fvu,
        }
        for name, score in f1.items()
    }
).T.round(2)

# %% [markdown]
# **What to look for.** The distance of the SAE from the *best* null, not from zero. Random directions do better than
# one would think: many of them, behind a threshold, are a fair net for anything that is in the vectors. And the neurons
# copy without any error and read worst. The best and the worst of three trainings (or of three draws) say how far one
# number can be trusted.
#
# **Which latents fire for which genre?** For each genre we take the latent that correlates most with it on half of the
# items, and count on the *other* half how often it fires where an item has this genre, or another one.


# %% tags=["skip-verify"]
def fires(dictionary):
    """Share of each genre's rows on which each genre's latent fires."""
    half = halves[0]
    aligned = alignment.align(dictionary, test.h, test.item, genres)
    chosen = np.nan_to_num(aligned.on_items(half), nan=-1).argmax(0)
    other = ~half[test.item.numpy()]
    with torch.no_grad():
        z = dictionary.encode(test.h[other]).dense()[:, chosen] > 0
    label = genres[test.item.numpy()[other]].astype(float)
    return z.numpy().T.astype(float) @ label / label.sum(0)


# %% tags=["skip-verify"] mystnb={"figure": {"caption": "For each genre (row) the latent that follows it best on half of the items, and how often it fires on items of each genre (column) of the other half: the SAE, and random directions with as many active latents.", "name": "fig-zero-firing"}, "image": {"alt": "Two square heatmaps of sixteen genres. The diagonal of the SAE is dark, with a few dark cells beside it; that of the random directions is pale."}}
from_zero.firing(
    {name: fires(compared[name][0]) for name in ("SAE", "random directions")},
    names,
)

# %% [markdown]
# **What to look for.** The diagonal, and what else is dark in its row. Rows that are equal have the *same* latent:
# where one genre lies within another (*Harbour* in *Sea*, *Market* in *City*), the latent of the narrow one may be the
# best there is for the wide one, and then no latent stands for the wide one alone. A pair such as *Riddle* and *Ghost*
# goes together in the world itself. And the rare genres have few items in a half: a dark cell there may be two or three
# items.
#
# ## What to believe
#
# Training gave directions that can be read better than the axes, on new items, and better than nulls with as many
# latents. It did not give *the* directions: another training gives others, a wrong L0 gives wrong ones, and the error
# of the copy tells nothing of either. So: **believe a latent as far as it predicts something on data that did not
# choose it, better than the best null, in more than one training; and no further.**
#
# | paper | where it stops the recommender | its sparsity | what a latent is held against |
# |---|---|---|---|
# | {doc}`seqrec </book/chapters/seqrec>` | after the first block of a transformer, at every place | L1 | the genre of the item at the place |
# | {doc}`monosemantic </book/chapters/monosemantic>` | the vectors of users and items, one SAE for both | a rate at which each latent should fire | its top items |
# | {doc}`recsae </book/chapters/recsae>` | the last vector of the user, in any recommender | TopK | a description, tried on new cases |
#
# The same world with a larger SAE and three recommenders is in {doc}`/notebooks/03_planted_truth`; what nulls do on
# real data in {doc}`/notebooks/05_controls`.


# %% tags=["hide-input"]
def result(value, unit, n, better, against=None, **more):
    """A row of the scoreboard."""
    return Result(
        value=value,
        unit=unit,
        n=n,
        better=better,
        against=against and f"planted/from-zero/{against}",
        **more,
    )


def of_genres(name, **more):
    """F1 on the transformer's vectors, a mean over genres and runs."""
    runs = f1[name].mean(1)
    spread = (
        statistics.mean_over_seeds(runs)._asdict()
        | {"interval": "95%, t interval over seeds"}
        if len(runs) > 1
        else {"value": float(runs[0])}
    )
    return result(
        spread.pop("value"),
        "F1",
        len(test.h),
        "higher",
        seeds=list(range(len(runs))) if len(runs) > 1 else [],
        note="mean over genres, latent and threshold chosen on other items",
        artifacts=["planted/transformer"],
        **spread,
        **more,
    )


controls = {
    "random directions": "random-f1",
    "untrained SAE": "untrained-f1",
    "neurons": "neurons-f1",
}
best = controls[max(controls, key=lambda name: f1[name].mean())]
toy_note = f"{concepts} directions in {d} dimensions, {m} latents"
results.write(
    "00_autoencoders",
    {
        "planted/from-zero/toy-cosine": result(
            cosines[-1].mean().item(),
            "mean cosine",
            concepts,
            "higher",
            "toy-random-cosine",
            note=toy_note,
            training=True,
        ),
        "planted/from-zero/toy-found": result(
            found[-1].item() / concepts,
            "share of the true directions",
            concepts,
            "higher",
            note=f"cosine above 0.9; {toy_note}",
            training=True,
        ),
        "planted/from-zero/toy-random-cosine": result(
            chance, "mean cosine", concepts, "higher", note=toy_note
        ),
        "planted/from-zero/sae-f1": of_genres(
            "SAE", against=best, training=True
        ),
    }
    | {
        f"planted/from-zero/{key}": of_genres(name)
        for name, key in controls.items()
    },
)
