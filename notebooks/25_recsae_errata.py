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
# # What the faults of RecSAE's code do to the numbers
#
# The authors of RecSAE (arXiv 2411.06112) published their code on two branches: `main`, which trains the autoencoder,
# and `anon`, which has the prompts and the scores of the concepts. Both have faults. Here are those that touch a number
# most, each *run*: once as it is coded, once as it should be, on the same recommender, the same users and the same items.
#
# None of them is in the library. Each is a term of a loss, a stream of batches, a rule for choosing cases or a few lines
# of this notebook, so that you can switch it on and off. What was read and not run is listed at the end.
#
# **There is no language model here.** The authors have one write a sentence about five cases and try it on ten others. In
# its place stands a profile: for each term (genre, decade, word of the title, popularity) how much more often the cases
# have it than recommended items do. An item is predicted to be active where its terms speak for it. This is the
# score of [the concept dictionary](21_concepts.ipynb), with all terms, as a language model, too, always says something.
#
# **What to look for.** The last table: which faults move a number by more than the noise between users, which way, and
# whether they flatter the method or make it look worse.

# %% tags=["parameters"]
dataset: str = "planted-recsae"
seed: int = 0
positions: int = 10  # cases of a test user
sample: int = 10000  # vectors of training users
llm_url: str = ""  # a language model, as in http://localhost:8000/v1
llm_model: str = ""
llm_latents: int = 50  # that it describes, at eleven requests each
dying: dict = {"m": 512, "k": 2}  # an autoencoder with latents that die
budget: dict = {  # of the trainings in this notebook, both sides
    "rows": 24000,
    "warmup": 1000,
    "dead_after": 2000,
    "log_every": 24000,
}

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.sparse import csc_array
from scipy.stats import binom

from recsae_book import artifacts, figures, recipes, results
from recsae_book.instances import instances
from recsae_book.results import Result
from recsae_core.interpret import (
    coherence,
    concepts,
    confidence,
    dictionaries,
    lists,
    statistics,
)
from recsae_core.interpret.vocabulary import terms
from recsae_core.recommenders import Cases, activations, cases
from recsae_core.recommenders.ranking import evaluate
from recsae_core.sae import SAE, SAEConfig, TrainConfig
from recsae_core.sae import fit as fit_saes
from recsae_core.sae.metrics import reconstruction

# %% [markdown]
# The sequential recommender with its autoencoder, and matrix factorisation with its own. `test` holds cases of users whom
# no autoencoder has seen: the probed vector, and the best recommendation there. `z` holds the activations on them.


# %%
def have(name: str):
    """A model that is only looked at."""
    return artifacts.get(f"{dataset}/{name}", seed=seed).requires_grad_(False)


parts = artifacts.parts(dataset)
train = parts.train
model, sae = have("sasrec"), have("sae-sasrec")
length = model.config.length
test = instances(model, parts, parts.test_users, positions=positions)
item = test.top[:, 0]
z = concepts.codes(sae, test.h)
popularity = np.bincount(train.item, minlength=train.n_items)
vocabulary = terms(
    train.items, train.attributes, train.attribute_names, popularity
)

# %% tags=["hide-input"]
read = cases.windows(train, length)
read = read[torch.isin(read.user, torch.from_numpy(parts.sae_users))]
some = torch.randperm(
    len(read), generator=torch.Generator().manual_seed(seed)
)[:sample]
read = Cases(read.user[some], read.history[some])
read = Cases(read.user, read.history.scatter(1, read.length[:, None] - 1, -1))
last = activations.collect(model, "final", read, 4096).h
holdout = cases.dated(parts, "test", length, parts.test_users)
stop = model.before("final", holdout.cases)
table = []  # one row a fault


def by_user(values, user: np.ndarray = test.user) -> np.ndarray:
    """One number a user; the mean over users is the mean over rows."""
    who = np.unique(user, return_inverse=True)[1]
    sums = np.bincount(who, np.asarray(values, np.float64))
    return sums * len(sums) / len(user)


def compare(
    fault: str,
    what: str,
    measure: str,
    as_coded: object,
    intended: object,
    *,
    n: int = 1,
    training: bool = False,
    models: tuple = ("sasrec", "sae-sasrec"),
) -> None:
    """Keep a fault's two numbers. Those that are one a user get an interval; `n` says what the others are means over."""
    a, b = (np.atleast_1d(np.asarray(v, float)) for v in (as_coded, intended))
    drawn, rng = [], np.random.default_rng(seed)
    for side in (a, b):  # the same users, unless the fault is to take others
        if len(side) > 1 and len(drawn) < 1 + (len(a) != len(b)):
            drawn.append(statistics.resample_counts(len(side), 2000, rng))
    row = {
        "fault": fault,
        "what": what,
        "measure": measure,
        "as coded": a.mean(),
        "as it should be": b.mean(),
        "difference": a.mean() - b.mean(),
        "n": len(a) if len(a) > 1 else n,
        "users": len(a) > 1,
        "spread": np.ptp(b),
        "training": training,
        "artifacts": [f"{dataset}/{name}" for name in models],
    }
    if drawn:
        means = [drawn[0] @ a / len(a), drawn[-1] @ b / len(b)]
        for name, values in zip(
            ("as coded", "as it should be", "difference"),
            (*means, means[0] - means[1]),
            strict=True,
        ):
            ends = np.percentile(values, [2.5, 97.5])
            row |= dict(
                zip((f"{name} low", f"{name} high"), ends, strict=True)
            )
    table.append(row)


def fvu(dictionary, h=test.h, user=test.user) -> np.ndarray:
    """Unexplained variance on held-out rows, one number a user, the mean of which is that of all rows."""
    spread = (h - last.mean(0)).square().sum(1).mean()
    error = (dictionary.decode(dictionary.encode(h)) - h).square().sum(1)
    return by_user(error / spread, user)


def ndcg(h: torch.Tensor) -> np.ndarray:
    """NDCG@10 where `h` stands in the place of the probed vectors, one number a user."""
    found = evaluate(
        lambda _: stop.finish(h), holdout, ks=(10,), batch=len(holdout)
    )
    return by_user(found["ndcg@10"], holdout.cases.user.numpy())


def alive(dictionary) -> np.ndarray:
    """Which latents are above 0 on at least one of 10,000 held-out rows?"""
    return (reconstruction(dictionary, test.h).fire_rate >= 1e-4).numpy()


# %% [markdown]
# ## Training
#
# A few autoencoders, each trained for a short time from the same initial weights. The first is as it should be.
#
# **AuxK with the wrong sign.** Latents that are not used any more shall learn what the others leave over, $x - \hat x$. The
# code takes $\hat x - x$, so that they are taught to make the error larger. Two more slips sit in the same line: the
# residual carries a gradient, so that the living latents are moved by this term, too, and the bias of the decoder
# is counted in it a second time. The first number below is what dead latents have learned: the squared error after they
# have added their share, where 1 is the error before. As long as no latent dies this fault sleeps, so it is run on an
# autoencoder that has more latents and fewer active ones; there "dead" is who was silent for a few batches.
#
# **Decoder rows that grow.** Rows of the decoder are brought back to length 1 once an epoch and not after each step. A
# latent's value then says as much about the length of its row as about the case.
#
# **Vectors that are never probed.** For SASRec the autoencoder is trained on the states at *all* positions of a history
# and read at the last one. Positions are counted from the end, so the states before have met a number that
# the recommender's own training never used there, and nobody reads them.


# %%
def auxk_as_coded(p):
    """AuxK with the sign, the gradient and the bias of the code."""
    dead = p.dead.nonzero().flatten()
    half = p.sae.d // 2
    if not (k := min(half, len(dead))):
        return p.x.new_zeros(())
    best = p.pre[:, dead].relu().topk(k)
    made = p.pre.new_zeros(p.pre.shape)
    made = made.scatter(1, dead[best.indices], best.values)
    made = made @ p.sae.W_dec + p.sae.b_dec
    error = p.x_hat - p.x
    scale = min(len(dead) / half, 1) / p.sae.variance
    return scale * (made - error).square().sum(1).mean()


class Epochs:
    """Batches of rows; where an epoch begins, decoder rows of `sae` get length 1, and at no other time."""

    def __init__(self, h: torch.Tensor, sae: SAE, batch: int) -> None:
        self.h, self.sae, self.batch = h, sae, batch
        self.g = torch.Generator().manual_seed(seed)

    def __iter__(self):
        with torch.no_grad():
            self.sae.W_dec.copy_(F.normalize(self.sae.W_dec, dim=1))
        order = torch.randperm(len(self.h), generator=self.g)
        yield from self.h[order].split(self.batch)


@torch.no_grad()
def everywhere(asked: Cases) -> torch.Tensor:
    """The recommender's states at all positions of each history, one below the other."""
    found = []
    hook = model.norm2.register_forward_hook(
        lambda *seen: found.append(seen[2])
    )
    model(asked, torch.zeros(1, dtype=torch.long))
    hook.remove()
    (states,) = found
    return states[torch.arange(states.shape[1]) < asked.length[:, None]]


# %% tags=["hide-input"]
chosen = recipes.recipe(f"{dataset}/sae-sasrec").merged()
untrained_sae = SAE(
    SAEConfig(**(chosen["sae"] | {"d": model.config.d})),
    torch.Generator().manual_seed(seed + 1),
).prepare(last)
untrained_sae.requires_grad_(False)


def fresh(**changes) -> SAE:
    """An autoencoder as the recipe has it, not trained yet."""
    config = SAEConfig(**(chosen["sae"] | {"d": model.config.d} | changes))
    return SAE(config, torch.Generator().manual_seed(seed)).prepare(last)


def learn(made: list, h: torch.Tensor, objectives: list) -> list:
    """Train on the rows `h`; the last one has its decoder rows scaled where an epoch begins. Which latents are dead?"""
    config = TrainConfig(**(chosen["train"] | budget))
    done = fit_saes(
        made,
        Epochs(h, made[-1], config.batch),
        objectives,
        config,
        generator=torch.Generator().manual_seed(seed),
    )
    for one in made:
        one.requires_grad_(False)
    return [one.dead for one in done]


def left(one: SAE, dead: torch.Tensor) -> np.ndarray:
    """Squared error after the dead latents have added what they learned, as a share of that before."""
    u = one.standardized(test.h)
    pre, z = one.run(u)
    best = pre[:, dead].relu().topk(min(one.d // 2, int(dead.sum())))
    value = torch.zeros_like(pre[:, dead]).scatter(1, *best[::-1])
    error = u - one.reconstruct(z)
    after = (error - value @ one.W_dec[dead]).square().sum(1)
    return by_user(after / error.square().sum(1).mean())


# %% tags=["nbval-ignore-output", "skip-verify"]
weights = chosen["terms"]
coded = weights | {"auxk": (weights["auxk"], auxk_as_coded)}
right, growing = fresh(), fresh(unit_norm=False)
learn([right, growing], last, [weights, weights])
rightly, wrongly = fresh(**dying), fresh(**dying)
dead = learn([rightly, wrongly], last, [weights, coded])

states = everywhere(read[: len(read) // 4])
drawn = torch.randperm(
    len(states), generator=torch.Generator().manual_seed(seed)
)[:sample]
anywhere = fresh()
learn([anywhere], states[drawn], [weights])
print(
    f"{1 / read.length.float().mean():.1%} of the states are of the probed kind"
)

# %% tags=["nbval-ignore-output", "skip-verify"]
compare(
    "auxk_adds",
    "AuxK as coded: with dead latents",
    "error with what the dead latents add / without",
    left(wrongly, dead[1]),
    left(rightly, dead[0]),
    training=True,
)
compare(
    "auxk_alive",
    "AuxK as coded: alive",
    "share of latents alive",
    alive(wrongly).mean(),
    alive(rightly).mean(),
    n=rightly.m,
    training=True,
)
compare(
    "auxk_fvu",
    "AuxK as coded: FVU",
    "FVU on held-out users",
    fvu(wrongly),
    fvu(rightly),
    training=True,
)
norms = np.linalg.norm(growing.W_dec.numpy(), axis=1)
compare(
    "norm_once",
    "norm once an epoch: spread",
    "95th percentile of the decoder norms / 5th",
    np.divide(*np.percentile(norms, [95, 5])),
    1.0,
    n=right.m,
    training=True,
)
for name, measure, of in (
    ("fvu", "FVU on held-out users", fvu),
    ("ndcg", "NDCG@10 after reconstruction", lambda s: ndcg(s(stop.h))),
):
    compare(
        f"positions_{name}",
        f"trained at all positions: {name.upper()}",
        measure,
        of(anywhere),
        of(right),
        training=True,
    )
made = {
    "as it should be": right,
    "norm once an epoch": growing,
    "all positions": anywhere,
    "latents die": rightly,
    "latents die, AuxK as coded": wrongly,
}
pd.DataFrame(
    [
        [alive(s).mean(), fvu(s).mean(), ndcg(s(stop.h)).mean()]
        for s in made.values()
    ],
    index=list(made),
    columns=["alive", "FVU", "NDCG@10"],
).round(4)

# %% [markdown]
# **What is alive?** The code counts a latent as dead that was not *chosen* in an epoch. A latent can be chosen with the
# value 0, where fewer than $k$ are positive, and one choice among all rows of an epoch is enough. We ask for a value
# above 0 on one of 10,000 rows of held-out users. If the two agree, this fault sleeps.

# %%
picked = sae.encode(last)
selected = np.bincount(picked.index.flatten(), minlength=sae.m) > 0
compare(
    "alive",
    "alive if ever chosen: alive",
    "share of latents alive",
    selected.mean(),
    alive(sae).mean(),
    n=sae.m,
)
print(
    f"{(picked.value == 0).float().mean():.2%} of the choices have the value 0"
)

# %% [markdown]
# **Users that were in training.** A user of matrix factorisation has one vector. The code trains the autoencoder on the
# vectors of all users and then evaluates on vectors of the same users. Ours has not seen a fifth of them.
#
# **Variance of four rows.** The share of variance that is not explained is taken batch by batch, with batches of 4 to
# 16 rows and the mean *of these rows*. The same reconstruction then counts as worse, and the more so the smaller the
# batch; where all rows of a batch are one user's, it is a division by zero.

# %%
towers, tower_sae = have("bprmf"), have("sae-bprmf")
P = towers.before("user", cases.of_users(torch.arange(train.n_users))).h
inside, outside = (
    P[torch.from_numpy(u)] for u in (parts.sae_users, parts.test_users)
)
about = inside.mean(0)
errors = [
    (tower_sae(h) - h).square().sum(1)
    / (outside - about).square().sum(1).mean()
    for h in (inside, outside)
]
pair = ("bprmf", "sae-bprmf")
compare(
    "held_out_users",
    "users of the training: FVU",
    "FVU of the vectors of BPRMF",
    *errors,
    models=pair,
)
order = torch.randperm(
    len(test.h), generator=torch.Generator().manual_seed(seed)
)[: len(test.h) // 4 * 4]
fours, copies = test.h[order].view(-1, 4, test.h.shape[1]), sae(test.h[order])
variance = (fours - fours.mean(1, keepdim=True)).square().sum((1, 2))
lost = (copies - test.h[order]).square().sum(1).view(-1, 4).sum(1)
some = variance > 0
compare(
    "batch_variance",
    "FVU by batches of 4",
    "FVU on held-out users",
    (lost / variance)[some].mean(),
    fvu(sae).mean(),
    n=len(order),
)
print(f"{(~some).sum()} of {len(some)} batches have no variance")

# %% [markdown]
# ## The paper's confidence
#
# A latent's cases are those at level 5 or more of ten levels. Of the 10 strongest, 5 at random write the description and
# the other 5 test it, with 5 random silent cases beside them. Confidence is the share of the ten that are told right, and
# a latent counts as interpretable from .8 on. Where there are fewer than ten, cases that wrote the description test it,
# too. **Nothing keeps a film, or a user, from being on both sides.**
#
# `paper_cases` follows that rule to the letter. `clean_cases` takes as many, but of a user and of an item one only; with
# `easy=False` the silent cases are as popular as the active ones. Both are judged in the same way.


# %%
def strong(codes: csc_array) -> csc_array:
    """What is at level 5 or more of ten levels that all latents share."""
    cut = codes.copy()
    cut.data[cut.data < np.quantile(codes.data, 0.4)] = 0
    return cut


def silent(codes: csc_array, count: int, rng) -> np.ndarray:
    """Random rows on which each latent is not active, -1 where there are fewer."""
    m = codes.shape[1]
    fires = (codes > 0).toarray()
    drawn = rng.integers(len(item), size=(m, 8 * count))
    no = ~fires[drawn, np.arange(m)[:, None]]
    first = (~no).argsort(1, kind="stable")[:, :count]
    return np.take_along_axis(np.where(no, drawn, -1), first, 1)


def trials(yes: np.ndarray, no: np.ndarray) -> confidence.Trials:
    """Rows of each latent, active and silent ones, as cases."""
    rows = np.concatenate([yes, no], 1)
    latent, place = np.nonzero(rows >= 0)
    row = rows[latent, place]
    active = place < yes.shape[1]
    return confidence.Trials(latent, row, item[row], active, len(rows))


def paper_rows(codes: csc_array, rng) -> tuple[np.ndarray, np.ndarray]:
    """For each latent five rows that write its description and five that test it, -1 where there are fewer."""
    rows = coherence.strongest(strong(codes), 10)
    mixed = np.where(rows >= 0, rng.random(rows.shape), 2).argsort(1)
    rows = np.take_along_axis(rows, mixed, 1)
    write, check = rows[:, :5], rows[:, 5:]
    return write, np.where(check < 0, write, check)


def paper_cases(codes: csc_array, rng) -> list[confidence.Trials]:
    """Cases that write a description and cases that test it, by the paper's rule."""
    no = silent(codes, 10, rng)
    return [
        trials(yes, no[:, 5 * part : 5 * part + 5])
        for part, yes in enumerate(paper_rows(codes, rng))
    ]


def clean_cases(codes: csc_array, rng, easy=False) -> list[confidence.Trials]:
    """As many cases, no user and no item twice, each in one part only."""
    found = confidence.trials(
        codes, test.user, item, popularity, rng, most=10, easy=easy
    )
    order = np.lexsort(
        (rng.random(len(found.row)), found.active, found.latent)
    )
    group = found.latent * 2 + found.active
    turn = np.empty(len(order), int)
    turn[order] = np.arange(len(order)) - np.searchsorted(
        group[order], group[order]
    )
    return [
        confidence.Trials(
            *(column[turn % 2 == side] for column in found[:4]), found.m
        )
        for side in (0, 1)
    ]


# %% tags=["hide-input"]
has = vocabulary.has.astype(float)
rate = has[item].mean(0).clip(1e-9, 1 - 1e-9)  # of the recommended items


def judge(write: confidence.Trials, check: confidence.Trials):
    """Predict the cases of `check` from the profile of those of `write`: log odds of each term, two cases added."""
    yes = np.stack([write.latent, write.item])[:, write.active]
    taken = csc_array(
        (np.ones(yes.shape[1]), tuple(yes)), shape=(write.m, train.n_items)
    )
    of, count = taken.sum(1)[:, None], (taken @ has).toarray()
    odds = (count + 2 * rate) / (of - count + 2 * (1 - rate))
    weight = np.log(odds * (1 - rate) / rate)
    scores = np.ascontiguousarray((has @ weight.T).T)
    return confidence.confidence(scores, write, check, of[:, 0] > 0, least=1)


def right_share(judged) -> np.ndarray:
    """The paper's confidence of each latent; NaN for one that has no description."""
    right, n = judged.true_pos + judged.true_neg, judged.n_pos + judged.n_neg
    return np.where(judged.described, right / np.maximum(n, 1), np.nan)


def confident(judged, among: np.ndarray) -> float:
    """Share of some latents with a confidence of .8 or more."""
    return (right_share(judged)[among] >= 0.8 - 1e-9).mean()


def paper_confidence(codes: csc_array):
    """The paper's rule, whole."""
    return judge(*paper_cases(codes, np.random.default_rng(seed)))


def clean_confidence(codes: csc_array, easy: bool):
    """The same with cases that share neither user nor item."""
    return judge(*clean_cases(codes, np.random.default_rng(seed), easy))


# %% [markdown]
# **What leaks.** Below, the share of latents that count as interpretable: by the paper's rule, with cases that share no
# user and no item, and with silent cases that are as popular. Each for the trained autoencoder, for one that was never
# trained, and for vectors of the training data taken as directions. What would surprise us is a trained autoencoder that
# stays ahead of both in the last column.

# %%
generator = torch.Generator().manual_seed(seed)
z_random = concepts.codes(untrained_sae, test.h)
z_rows = concepts.codes(
    dictionaries.data_rows(last, sae.m, chosen["sae"]["k"], generator), test.h
)
judged = {
    name: [
        paper_confidence(codes),
        clean_confidence(codes, True),
        clean_confidence(codes, False),
    ]
    for name, codes in {
        "trained": z,
        "untrained": z_random,
        "data rows": z_rows,
    }.items()
}
shares = {
    name: [confident(one, row[0].described) for one in row]
    for name, row in judged.items()
}
for name in shares:
    compare(
        f"leak_{name.replace(' ', '-')}",
        f"cases that leak: {name}",
        "share of latents with a confidence of .8",
        shares[name][0],
        shares[name][1],
        n=int(judged[name][0].described.sum()),
    )
    compare(
        f"easy_{name.replace(' ', '-')}",
        f"any silent case: {name}",
        "share of latents with a confidence of .8",
        shares[name][1],
        shares[name][2],
        n=int(judged[name][0].described.sum()),
    )
pd.DataFrame(
    shares,
    index=["the paper's rule", "no user, no item twice", "and as popular"],
).T.round(3)

# %% [markdown]
# **The same case again.** How many of the cases that test a description show an item that was shown when it was written?
# For matrix factorisation it is worse. The rows of the authors' test set are interactions, and a user has the same vector
# and the same recommendation in all of them, so that the ten strongest rows of a latent are a few users many times
# over. There we count the testing cases that *are* cases that wrote: the same user, the same item.


# %%
def again(codes: csc_array, key: np.ndarray) -> float:
    """Share of the testing cases whose key is that of a case that wrote the same description."""
    write, check = paper_rows(codes, np.random.default_rng(seed))
    same = key[check][:, :, None] == key[write][:, None, :]
    real = (check >= 0)[:, :, None] & (write >= 0)[:, None, :]
    return float((same & real).any(2)[check >= 0].mean())


compare(
    "item_again",
    "testing items that wrote: SASRec",
    "share of the testing cases",
    again(z, item),
    0.0,
    n=sae.m,
)
seen = instances(towers, parts, parts.test_users)
row = np.searchsorted(seen.user, holdout.cases.user.numpy())
compare(
    "case_again",
    "testing cases that wrote: BPRMF",
    "share of the testing cases",
    again(concepts.codes(tower_sae, seen.h[torch.from_numpy(row)]), row),
    0.0,
    n=tower_sae.m,
    models=pair,
)
print(f"{len(row)} rows of {len(np.unique(row))} users")

# %% [markdown]
# **Levels over all latents.** The ten levels are made from the values of all latents together. A latent whose values are
# small never reaches level 5 and has no description, however clear its cases are. With decoder rows of any length
# small values mean nothing at all. With levels of its own, every latent that is alive has cases.

# %%
latents = alive(sae)
described = (coherence.strongest(strong(z), 1)[:, 0] >= 0) & latents
compare(
    "pooled_levels",
    "levels over all latents: described",
    "share of the living latents with a case",
    described.sum() / latents.sum(),
    1.0,
    n=int(latents.sum()),
)

# %% [markdown]
# **"Precision".** What the code calls precision is the share of the *silent* cases that are told right, which is
# specificity. Precision is the share of the cases *predicted* active that are. **A confidence without a success.** As
# confidence is the share of all cases, a latent with one testing case and five silent ones reaches .83 when its only case
# is missed. A grader that always says "silent" is then interpretable. The balanced accuracy of the two rates is .5.

# %%
trained = judged["trained"][0]
compare(
    "precision",
    "specificity called precision",
    "precision, mean over latents",
    trained.tnr.value[trained.described].mean(),
    trained.precision.value[trained.described].mean(),
    n=int(trained.described.sum()),
)
pd.DataFrame(
    {
        "confidence as coded": [5 / (n + 5) for n in range(1, 6)],
        "balanced accuracy": 0.5,
    },
    index=pd.Index(
        range(1, 6), name="cases, all missed, beside 5 silent ones"
    ),
).round(3)

# %% [markdown]
# **What chance gives.** Ten cases are few. A coin reaches .8 in one latent of eighteen. And if *every* latent were the same,
# told right at the mean rates of all latents, many would reach .8 by luck. The authors' code has the results of one run as a
# comment: the two mean rates, and how many latents are at .8. The exact sum of two binomials says how many luck alone
# would give. Below, the same for our latents. **If both columns agree, the latents do not differ by more than luck**, and
# being above the bar says nothing about one of them.


# %%
def by_chance(tpr: float, tnr: float, bar: int = 8, each: int = 5) -> float:
    """P(at least `bar` right) of independent cases, `each` active and as many silent."""
    counts = np.arange(each + 1)
    law = np.convolve(
        binom.pmf(counts, each, tpr), binom.pmf(counts, each, tnr)
    )
    return float(law[bar:].sum())


theirs = artifacts.reference("recsae", "amazon")
run, shown = theirs["confidence"], theirs["dictionary"]
coin = by_chance(0.5, 0.5)
published = by_chance(run["tpr_mean"], run["tnr_mean"])
ours = by_chance(
    trained.tpr.value[trained.described].mean(),
    trained.tnr.value[trained.described].mean(),
)
pd.DataFrame(
    {
        "at .8": [
            np.nan,
            run["at_0.8"] / run["scored"],
            shares["trained"][0],
        ],
        "independent trials at the mean rates": [coin, published, ours],
    },
    index=[
        "a coin",
        "in the authors' code",
        "our autoencoder, the paper's rule",
    ],
).round(3)

# %% [markdown]
# **One item over and over.** What a language model was shown is published for one autoencoder on Amazon
# (`results/info_sasrec_amazon.txt`): the recommended items of up to five cases of each latent. Below, how many latents
# repeat an item within these, and how many show one item only: theirs, ours by their rule, and one that was never
# trained.

# %%
rows_of = {
    name: coherence.published_cases(codes, np.random.default_rng(seed))
    for name, codes in {"ours": z, "never trained": z_random}.items()
}
repeated = {
    name: coherence.repeats(np.where(rows >= 0, item[rows], -1))
    for name, rows in rows_of.items()
}
rates = {
    name: [one.repeat_share, one.distinct[0] / one.lists]
    for name, one in repeated.items()
}
rates["theirs, on Amazon"] = [shown["repeats_an_item"], shown["single_item"]]
pd.DataFrame(rates, index=["an item twice", "one item only"]).T.round(3)

# %% [markdown]
# **With a language model.** Give this notebook an address and a model
# (`python -m recsae_core run 25_recsae_errata -p llm_url=http://localhost:8000/v1 -p llm_model=NAME`; a key goes into the
# environment, as `RECSAE_LLM_KEY`), and it runs the authors' two steps on some latents, at temperature 0 and with prompts of
# our own. Replies are kept, so that a run that breaks off goes on where it was. A reply that cannot be read is a failure: it
# is counted below, and never as a success. Without an address nothing happens here.


# %% tags=["hide-input", "skip-verify"]
def shown_as(rows: np.ndarray, level: np.ndarray) -> list:
    """Cases as a language model sees them: what was taken, what was recommended, and how active the latent is."""
    titles = train.items["title"].fillna("(an item without a title)")
    return [
        [
            (
                [titles[i] for i in test.history[r] if i >= 0][-9:],
                titles[item[r]],
                int(v),
            )
            for r, v in zip(*one, strict=True)
        ]
        for one in zip(rows, level, strict=True)
    ]


if llm_url:
    from recsae_core import paths
    from recsae_core.interpret.language import Endpoint, describe, predict

    draw = np.random.default_rng(seed)
    write, check = paper_rows(z, draw)
    full = np.flatnonzero((check >= 0).all(1))[:llm_latents]
    bins = np.quantile(z.data, np.arange(1, 10) / 10)
    level = 1 + np.searchsorted(bins, z.toarray()[write[full], full[:, None]])
    endpoint, kept = Endpoint(llm_url, llm_model), paths.cache() / "replies"
    written = describe(endpoint, shown_as(write[full], level), cache=kept)
    tried = np.concatenate([check, silent(z, 5, draw)], 1)[full]
    answers = predict(
        endpoint, written.texts, shown_as(tried, 0 * tried), cache=kept
    )
    told = answers.right(np.arange(10) < 5 + 0 * tried)
    report = {
        "told right: active": told[:, :5].mean(),
        "told right: silent": told[:, 5:].mean(),
        "confidence of .8": (told.mean(1) >= 0.8 - 1e-9).mean(),
        "no description": len(written.failures),
        "no prediction": len(answers.failures),
    }
    print(pd.Series(report).round(3).to_string())
    print(written.usage, answers.usage, sep="\n")

# %% [markdown]
# ## Coherence
#
# **Two neighbours.** The coherence of a latent is the cosine of the probed vectors of its two strongest cases (with
# different items). A latent is a direction; what lies farthest along a direction lies together, whatever the direction
# is. So the same number is due for directions that mean nothing. **Two filters.** The authors keep the latents of the
# autoencoder that have a confidence of .8 and compare them with *all* raw neurons, of which they take the positive side
# alone. Below, both sides of each neuron, and the same bar for all.


# %%
def nearest(codes: csc_array) -> np.ndarray:
    """Cosine of the two strongest cases of each latent that recommend different items."""
    rows = coherence.strongest(codes, 2, apart=item)
    return coherence.within(test.h.numpy(), rows)


compare(
    "coherence",
    "coherence without a null",
    "cosine of the two strongest cases",
    np.nanmean(nearest(z)),
    np.nanmean(nearest(z)) - np.nanmean(nearest(z_random)),
    n=sae.m,
)
z_neurons = concepts.codes(dictionaries.neurons(last), test.h)
kept = {
    name: right_share(of) >= 0.8 - 1e-9
    for name, of in {
        "sae": trained,
        "neurons": paper_confidence(z_neurons),
    }.items()
}
best = np.nanmean(nearest(z)[kept["sae"]])
compare(
    "filter",
    "neurons without the filter",
    "lead of the autoencoder over neurons in cosine",
    best - np.nanmean(nearest(z_neurons)[: model.config.d]),
    best - np.nanmean(nearest(z_neurons)[kept["neurons"]]),
    n=int(kept["sae"].sum()),
)
print(
    f"{kept['neurons'].sum()} of {len(kept['neurons'])} sides of neurons reach .8"
)

# %% [markdown]
# ## Ablation
#
# **The error is thrown away.** The code puts the reconstruction in the place of the vector and ranks. What the
# autoencoder could not explain is lost in every list, whether anything is ablated or not. Below: how many of the ten best
# items change when *nothing* is changed, and when the strongest latent of each case is switched off; with the error
# kept, and without.

# %%
code = sae.encode(stop.h).dense()
off = code.scatter(1, code.argmax(1, keepdim=True), 0.0)
copy = sae(stop.h)
edited = sae.decode(sae.encode(stop.h).with_dense(off))
before = lists.top(stop.finish(stop.h), holdout.seen, 10)


def changed(h: torch.Tensor) -> np.ndarray:
    """Share of the ten best items that are others than before, one number a user."""
    after = lists.top(stop.finish(h), holdout.seen, 10)
    kept = (after[:, :, None] == before[:, None]).any(2).mean(1)
    return by_user(1 - kept, holdout.cases.user.numpy())


compare(
    "error_dropped",
    "error dropped: nothing ablated",
    "share of the top 10 that changes",
    changed(copy),
    changed(stop.h),
)
compare(
    "error_dropped_ablated",
    "error dropped: one latent ablated",
    "share of the top 10 that changes",
    changed(edited),
    changed(stop.h + edited - copy),
)
compare(
    "error_dropped_ndcg",
    "error dropped: NDCG",
    "NDCG@10 with nothing ablated",
    ndcg(copy),
    ndcg(stop.h),
)

# %% [markdown]
# ## What it comes to
#
# Read the difference, and whether its interval (over test users, where users are what varies) is clear of zero. **If it
# holds zero, the fault made no difference that these users can show.** Numbers over latents have no interval: latents of
# one autoencoder are no sample of anything.

# %% tags=["hide-input"]
errata = pd.DataFrame(table).set_index("fault")
errata[
    [
        "what",
        "measure",
        "as coded",
        "as it should be",
        "difference",
        "difference low",
        "difference high",
    ]
].round(3)

# %% [markdown]
# The figure has the faults that are about a share, which all have one scale.

# %% mystnb={"figure": {"caption": "What each fault does to a share, in parts of the whole. Lines: 95% bootstrap over test users, where the number is a mean over users.", "name": "fig-recsae-errata"}, "image": {"alt": "A bar for each fault, the difference between the share as coded and as it should be. Several are long to the right, which flatters the method."}}
of_shares = errata[errata["measure"].str.contains("share")]
ordered = of_shares.sort_values("difference", ascending=False)
difference = ordered["difference"].to_numpy()
figures.mean_bars(
    difference,
    list(ordered["what"]),
    low=ordered["difference low"].fillna(ordered["difference"]).to_numpy(),
    high=ordered["difference high"].fillna(ordered["difference"]).to_numpy(),
    xlabel="As coded minus as it should be",
    ylabel="Fault",
    digits="+.2f",
    first=False,
)

# %% [markdown]
# Read and not run, as they change no number that we have, or cannot be run at all:
#
# - *Memory for a baseline*: the decoder and the bias of the "random" autoencoder are never filled in; the bias is taken
#   off the input before it is encoded, so that its codes are whatever was in memory.
# - *Histories of items drawn at random* are shown to the language model for recommenders that read no history.
# - *One model writes and grades*, at a temperature of .6, once. The example in the prompt of the grader has the level 1
#   for one dataset, 6 and 10 for the others.
# - *Levels of neurons* come out from -1 to 8, those of the autoencoder from 1 to 10.
# - *The autoencoder of an epoch is chosen by NDCG@5*, which says nothing about its latents.
# - *Nothing has a seed* but the training, and result files of one recommender and dataset overwrite each other.

# %% tags=["hide-input"]
subject = f"recsae/errata-{dataset.removesuffix('-recsae')}"
common = {"seeds": [seed], "better": "none"}
rows_out = {}
for fault, row in errata.iterrows():
    for side in ("as coded", "as it should be"):
        plain = fault in ("norm_once", "pooled_levels", "error_dropped")
        plain |= fault.endswith("_again")
        if plain and side != "as coded":  # 0 or 1
            continue
        if fault.startswith("easy") and side == "as coded":
            continue  # where the leak is as it should be
        given = row["users"]
        rows_out[f"{subject}/{fault}_{side.replace(' ', '_')}"] = Result(
            value=row[side],
            low=row[f"{side} low"] if given else None,
            high=row[f"{side} high"] if given else None,
            interval="95%, bootstrap over users" if given else "",
            unit=row["measure"],
            n=int(row["n"]),
            training=bool(row["training"]),
            note=row["what"],
            artifacts=row["artifacts"],
            **common,
        )
    if row["users"] and row["spread"] > 0:
        rows_out[f"{subject}/{fault}_difference"] = Result(
            value=row["difference"],
            low=row["difference low"],
            high=row["difference high"],
            interval="95%, bootstrap over users",
            unit=f"{row['measure']}: as coded - as it should be",
            n=int(row["n"]),
            training=bool(row["training"]),
            note=row["what"],
            artifacts=row["artifacts"],
            **common,
        )
measured = {"artifacts": [f"{dataset}/sasrec", f"{dataset}/sae-sasrec"]}
elsewhere = {"comparable": False, "note": "theirs: SASRec on Amazon"}
for metric, value, reference, unit in (
    (
        "repeats_an_item",
        rates["ours"][0],
        shown["repeats_an_item"],
        "share of latents",
    ),
    (
        "single_item",
        rates["ours"][1],
        shown["single_item"],
        "share of latents",
    ),
    ("chance_ours", ours, None, "share of latents at .8"),
):
    rows_out[f"{subject}/{metric}"] = Result(
        value=value,
        reference=reference,
        source=shown["source"] if reference else None,
        unit=unit,
        n=repeated["ours"].lists,
        **(elsewhere if reference else {}),
        **measured,
        **common,
    )
rows_out[f"{subject}/chance_coin"] = Result(
    value=coin, unit="share of latents at .8", n=10, better="none"
)
rows_out[f"{subject}/chance_published"] = Result(
    value=published,
    reference=run["at_0.8"] / run["scored"],
    source=run["source"],
    comparable=False,
    note="luck at the authors' mean rates, beside what they counted",
    unit="share of latents at .8",
    n=run["scored"],
    better="none",
)
results.write("25_recsae_errata", rows_out)
