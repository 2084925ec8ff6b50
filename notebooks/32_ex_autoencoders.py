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
# # Exercises: sparse autoencoders
#
# A row becomes a code, the code becomes a row again, and nearly all of the code is zero. The exercises write each of
# these steps, count what is left over, show two ways in which an objective is cheated, and end with the question that
# matters most: is a good copy a good reading? They use the rows and the autoencoders of
# [the world with a known truth](03_planted_truth.ipynb).
#
# One star: predict or read a number. Two stars: write a few lines. Three stars: a small piece of research, with a part
# that can be checked. The last cell of each exercise says what is wrong, and never what the answer is.

# %% tags=["hide-input"]
import numpy as np
import torch

from recsae_book import artifacts
from recsae_checks import autoencoders as check
from recsae_core.interpret import alignment, statistics
from recsae_core.recommenders import activations, cases
from recsae_core.sae import metrics

parts = artifacts.parts("planted")
model = artifacts.get("planted/transformer", seed=0)
length = model.config.length
train, test = (
    activations.collect(model, "block0", cases.inputs(part, length))
    for part in (parts.sae, parts.test)
)
saes = {
    k: artifacts.get("planted/sae-topk", seed=0, sae={"k": k})
    for k in (1, 8, 128)
}
print(
    f"{len(train.h)} rows to train on, {len(test.h)} to test on, d =", end=" "
)
print(f"{saes[8].d}; three autoencoders of {saes[8].m} latents each")

# %% [markdown]
# `saes[k]` may use `k` latents a row. `sae.encode(rows)` is a code, `.dense()` gives it one column a latent, and
# `sae.decode(code)` makes rows of it again.
#
# (ex-2-1)=
# ## Exercise 2.1 ★ Two codes of one row
#
# The pre-activations of a row are 2, -1, 0.5 and -0.2. By hand: what is its code behind a ReLU, what is it with TopK
# for `k = 3` (as in this book: of the three largest, what is positive), and what is the L1 norm of the ReLU code? Give
# `codes = {"relu": [...], "topk": [...], "l1": ...}`, the lists with four numbers each.

# %% tags=["exercise"]
codes = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
positive_part = [2.0, 0.0, 0.5, 0.0]
codes = {"relu": positive_part, "topk": positive_part, "l1": 2.5}

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The third largest is negative, and a latent says how much of something is there: less than nothing is nothing. So a
# TopK code can have fewer than k active latents, and here it is the ReLU code.
# ```

# %% tags=["check"]
check.ex_2_1(codes)

# %% [markdown]
# (ex-2-2)=
# ## Exercise 2.2 ★★ TopK
#
# Write `top_k(pre, k)`. `pre` is a float tensor `[n, m]`. The result has the same shape: in each row the `k` largest
# values, where they are positive, and 0 everywhere else. Of equal values any may be kept, but never more than `k`.


# %% tags=["exercise"]
def top_k(pre, k):
    """The k largest of each row where positive, the others 0."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def top_k(pre, k):
    """The k largest of each row where positive, the others 0."""
    largest = pre.topk(k, dim=1)
    z = torch.zeros_like(pre)
    return z.scatter(1, largest.indices, largest.values.relu())


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Indices, not a threshold: a comparison with the k-th largest value keeps all of several equal ones. Row by row: the
# largest of the whole batch would give rich rows many latents and poor rows none (BatchTopK does so on purpose).
# ```

# %% tags=["check"]
check.ex_2_2(top_k)

# %% [markdown]
# (ex-2-3)=
# ## Exercise 2.3 ★ How many latents does k = 128 use?
#
# `saes[128]` may use 128 latents a row. **Predict**: how many are active on average on the rows `test.h`? Then count:
# `active`, the mean number of latents above 0 a row.

# %% tags=["exercise"]
active = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
z = saes[128].encode(test.h).dense()
active = float((z > 0).sum(1).float().mean())
print(f"{active:.1f} active latents a row")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Where fewer than k pre-activations are positive the others are 0: k is a ceiling. Compare dictionaries at the L0 that
# was measured, not at the k that was set.
# ```

# %% tags=["check"]
check.ex_2_3(active, saes[128], test.h)

# %% [markdown]
# (ex-2-4)=
# ## Exercise 2.4 ★★ What is left unexplained
#
# The fraction of variance unexplained: the squared error of the copy, summed over all entries, as a share of the
# squared distance of the rows from the mean **of the training rows**. Write `fvu(x, x_hat, mean)` for tensors `[n, d]`,
# `[n, d]` and `[d]`; return a float. Who copies every row as `mean` must get 1.


# %% tags=["exercise"]
def fvu(x, x_hat, mean):
    """Fraction of variance unexplained, about a given mean."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def fvu(x, x_hat, mean):
    """Fraction of variance unexplained, about a given mean."""
    left_over = (x - x_hat).square().sum()
    return float(left_over / (x - mean).square().sum())


with torch.no_grad():
    for k, sae in saes.items():
        print(f"k = {k}: {fvu(test.h, sae(test.h), train.h.mean(0)):.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# The mean of the training rows is all that one knows without an autoencoder. The mean of the test rows would be a better
# guess than anybody can make, and a score that depends on which test rows are in the batch. A mean of ratios, one a
# dimension, gives dimensions in which nothing happens the weight of the others.
# ```

# %% tags=["check"]
check.ex_2_4(fvu)

# %% [markdown]
# (ex-2-5)=
# ## Exercise 2.5 ★★ The gradient through TopK
#
# Some of the gradient must pass the sparsifier, or nothing would be learned. `pre` is a tensor `[n, m]`, and `g` of the
# same shape is the gradient of a loss with respect to the *code* that TopK makes of it. Write `behind_topk(pre, k, g)`:
# the gradient of the loss with respect to `pre`. Without automatic differentiation.
#
# ```{dropdown} Hint
# Nudge one pre-activation a little. Which nudges change the code, and by how much?
# ```


# %% tags=["exercise"]
def behind_topk(pre, k, g):
    """Gradient with respect to the pre-activations, from that of the code."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def behind_topk(pre, k, g):
    """Gradient with respect to the pre-activations, from that of the code."""
    chosen = torch.zeros_like(pre).scatter(1, pre.topk(k, dim=1).indices, 1.0)
    return g * chosen * (pre > 0)


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Where a latent is chosen the code follows the pre-activation one to one; where it is not, a small nudge changes nothing.
# So a latent that is never among the k largest never gets a gradient, and stays dead. The next exercise wakes it.
# ```

# %% tags=["check"]
check.ex_2_5(behind_topk)

# %% [markdown]
# (ex-2-6)=
# ## Exercise 2.6 ★★ Waking the dead
#
# AuxK lets dead latents explain what the living leave over. Write `aux_loss(residual, pre, dead, W_dec, k)`:
# `residual` `[n, d]` is the row less its copy, `pre` `[n, m]` are pre-activations, `dead` `[m]` is boolean, `W_dec` is
# `[m, d]`. Of each row take the `k` largest pre-activations **among the dead latents**, where positive, decode them
# with their rows of `W_dec`, and return the mean over rows of the squared distance from the residual (summed over `d`).
# At least `k` latents are dead. The residual is a constant: no gradient may reach it.


# %% tags=["exercise"]
def aux_loss(residual, pre, dead, W_dec, k):
    """What the k largest dead latents leave of the residual."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def aux_loss(residual, pre, dead, W_dec, k):
    """What the k largest dead latents leave of the residual."""
    woken = pre[:, dead].topk(k, dim=1)
    code = torch.zeros_like(pre[:, dead])
    code = code.scatter(1, woken.indices, woken.values.relu())
    away = residual.detach() - code @ W_dec[dead]
    return away.square().sum(1).mean()


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# If the gradient reached the residual, the living latents would learn to leave over what the dead can explain: a copy made
# worse on purpose. Detached, the term trains the dead alone, and vanishes with them.
# ```

# %% tags=["check"]
check.ex_2_6(aux_loss)

# %% [markdown]
# (ex-2-7)=
# ## Exercise 2.7 ★★ Cheating the L1 norm
#
# A ReLU autoencoder is trained with an L1 penalty on its code, and its decoder rows may have any length. Show how it
# cheats. Write `disguised(W_enc, b_enc, W_dec, c)`: weights `[m, d]`, `[m]`, `[m, d]` and a factor `c > 0`. Return three
# tensors of the same shapes that make **the same copy of every row** with a code `c` times as large. (The code is
# `relu(x @ W_enc.T + b_enc)`, the copy is the code times `W_dec`.)
#
# What penalty is left for a small `c`? And why does a constraint of unit rows help?


# %% tags=["exercise"]
def disguised(W_enc, b_enc, W_dec, c):
    """The same autoencoder with a code that is c times as large."""
    raise NotImplementedError


# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
def disguised(W_enc, b_enc, W_dec, c):
    """The same autoencoder with a code that is c times as large."""
    return c * W_enc, c * b_enc, W_dec / c


# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# A ReLU passes a positive factor through. With c towards 0 the penalty vanishes and the copy stays: the objective has no
# smallest value that means anything. Rows of length one take this freedom away, and make latents comparable.
# ```

# %% tags=["check"]
check.ex_2_7(disguised)

# %% [markdown]
# (ex-2-8)=
# ## Exercise 2.8 ★★★ The best copy and the best reading
#
# Which `k` should one choose? Measure the three autoencoders twice on `test`: as copies, by the fraction of variance
# unexplained about the mean of the **training** rows, and as readings, by `alignment.concept_f1` with the halves below,
# averaged over the genres. Give `measured = {k: (fvu, f1), ...}` for the three `k`.
#
# **Then go on.** Without labels one sees the first number only. Is there anything else that can be measured without
# labels and has its best value where the reading has? Try: the share of dead latents, how often the same latent is
# found with another seed (seeds 0, 1, 2 are there), the overlap of latents that are active together. Say beforehand
# what would convince you, and count how many ideas you tried.

# %% tags=["hide-input"]
halves = statistics.item_halves(
    np.bincount(parts.sae.item, minlength=parts.sae.n_items),
    5,
    np.random.default_rng(0),
)
attributes = parts.test.attributes

# %% tags=["exercise"]
measured = None

# %% tags=["solution", "hide-cell"] mystnb={"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
measured = {}
for k, sae in saes.items():
    copy = metrics.reconstruction(sae, test.h, mean=train.h.mean(0))
    reading = alignment.concept_f1(sae, test.h, test.item, attributes, halves)
    measured[k] = copy.fvu, float(reading.mean())
    print(f"k = {k}: FVU {measured[k][0]:.3f}, F1 {measured[k][1]:.3f}")

# %% [markdown] tags=["solution"]
# ```{dropdown} Why
# Every further latent improves the copy; the reading improves and then falls. With many latents a row can be written in
# any basis, with one a latent has to stand for several genres. There is no known number without labels that finds the
# best reading reliably. Agreement between seeds is a fair try: what two trainings find is at least not an accident of
# one. But an idea that was picked because it fits three points fits them by selection.
# ```

# %% tags=["check"]
check.ex_2_8(measured, saes, train.h, test, attributes, halves)
