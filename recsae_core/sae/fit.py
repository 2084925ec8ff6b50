"""The one loop that trains SAEs: several at once on the same batches, all clocks in rows, resume after a kill."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor
from tqdm.auto import tqdm

from recsae_core import storage
from recsae_core.sae import batches
from recsae_core.sae.autoencoder import SAE
from recsae_core.sae.batches import Batch
from recsae_core.sae.terms import Pass, Term, objective

Log = Callable[[dict[str, int | float]], None]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class TrainConfig:
    """How to train with Adam; every clock counts rows. Unknown keys and impossible values raise ``ValueError``."""

    rows: int | None = None  # rows to train on; exactly one of rows and epochs
    epochs: int | None = None  # passes over the rows
    batch: int = 512  # rows a step
    lr: float = 1e-3  # the learning rate after the warm-up
    warmup: int = 0  # rows over which the learning rate rises linearly from 0
    clip: float | None = 1.0  # largest norm of the gradient; None: not clipped
    dead_after: int = 100_000  # rows without firing after which a latent counts as dead
    sampling: Literal["shuffle", "replacement"] = "shuffle"  # of a tensor: shuffled epochs | independent draws
    log_every: int = 100_000  # rows
    beta1: float = 0.9  # Adam's momentum
    beta2: float = 0.999  # and its memory of squared gradients

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.epochs is None):
            raise ValueError(f"rows={self.rows}, epochs={self.epochs}: expected exactly one of them")
        for name, low in {"rows": 1, "epochs": 1, "batch": 1, "warmup": 0, "dead_after": 1, "log_every": 1}.items():
            if (value := getattr(self, name)) is not None and value < low:
                raise ValueError(f"{name}={value}: expected at least {low}")
        for name in ("lr", "clip"):
            if (value := getattr(self, name)) is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}={value}: expected a positive number")
        for name in ("beta1", "beta2"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f"{name}={value}: expected 0 <= {name} < 1")

    def rate(self, seen: int) -> float:
        """The learning rate of the step after which ``seen`` rows have been seen."""
        return self.lr * min(1.0, seen / self.warmup) if self.warmup else self.lr


class FitResult(NamedTuple):
    """A trained SAE, in evaluation mode, and what happened: one row of ``history`` every ``log_every`` rows."""

    sae: SAE
    # rows, lr, loss, each term, l0, dead; means over the rows since the row before
    history: list[dict[str, int | float]]
    rows: int  # trained on; fewer than asked for where a stream ended that cannot be begun anew
    dead: Bool[Tensor, "m"]  # latents that did not fire in the last ``dead_after`` rows
    seconds: float  # of this call


def fit(
    saes: Sequence[SAE],
    rows: Tensor | Iterable[Any],
    terms: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    train: TrainConfig,
    *,
    generator: torch.Generator,
    on_log: Log | None = None,
    progress: bool = True,
    resume: Path | None = None,
) -> list[FitResult]:
    """Train SAEs in place, all on the same batches; each ends as it would have alone.

    ``rows`` is a ``[n, d]`` tensor, or an iterable of such tensors, or of objects with ``h`` and ``finish`` (a
    recommender's ``Split``; each is one batch). An iterable is read in its own order and begun anew when it ends; one
    that cannot be begun anew ends the training there, with a warning. ``terms`` is one objective, or one for each
    SAE: name -> weight of a term of ``TERMS``, or name -> (weight, function). ``on_log`` receives each row of each
    history with the number of its SAE. With ``resume``, the state is written to that file at every log, and a call
    with the same arguments (the generator in the same state) goes on from there to the same numbers.

    Raises ``ValueError`` for rows that are not finite, naming the row, and for a loss that is not, naming the step.
    """
    objectives = [terms] * len(saes) if isinstance(terms, Mapping) else list(terms)
    if not saes or len(objectives) != len(saes):
        raise ValueError(f"{len(saes)} SAEs and {len(objectives)} objectives: expected one for each, at least one")
    stream, total = _batches(saes, rows, train, generator)
    runs = [_Run(sae, objective(weights), train) for sae, weights in zip(saes, objectives, strict=True)]
    start, seen = time.perf_counter(), 0
    done = _load(resume, runs) if resume is not None else 0
    quiet = {} if progress else {"disable": True}  # disable=False would overrule $TQDM_DISABLE
    with tqdm(total=total, unit="row", unit_scale=True, **quiet) as bar:
        for batch in stream:
            n = len(batch.h)
            seen += n
            bar.update(n)
            if seen <= done:  # drawn and trained on before the kill
                continue
            target = cache(partial(_target, batch))  # computed once for all SAEs, if at all
            for run in runs:
                run.step(batch, seen, target)
            if seen // train.log_every > (seen - n) // train.log_every:
                _log(runs, seen, bar, on_log)
                if resume is not None:
                    _save(resume, runs, seen)
    if seen > done and runs[0].waiting:
        _log(runs, seen, bar, on_log)
    seconds = time.perf_counter() - start
    return [FitResult(run.sae.eval(), run.history, max(seen, done), run.dead, seconds) for run in runs]


def _batches(
    saes: Sequence[SAE], rows: Tensor | Iterable[Any], train: TrainConfig, g: torch.Generator
) -> tuple[Iterator[Batch], int | None]:
    """The batches, checked, and how many rows they hold where that is known; SAEs that are not prepared are."""
    if isinstance(rows, Tensor):
        if not len(rows):
            raise ValueError("no row to train on: expected at least two")
        _check(rows, saes, 0)
        sample, total = rows, train.rows or train.epochs * len(rows)
        stream = batches.from_tensor(rows, train.batch, total, train.sampling == "replacement", g)
    else:
        if train.sampling != "shuffle":
            raise ValueError(f"sampling={train.sampling!r}: expected rows in one tensor; a stream has its own order")
        stream = _checked(batches.from_stream(rows, train.batch, train.rows, train.epochs), saes)
        sample, stream = batches.peek(stream)
        total = train.rows
    for sae in saes:
        if not sae.prepared:
            sae.prepare(sample.detach().to(sae.b_dec.device))
    return stream, total


def _checked(stream: Iterator[Batch], saes: Sequence[SAE]) -> Iterator[Batch]:
    seen = 0
    for batch in stream:
        _check(batch.h, saes, seen)
        seen += len(batch.h)
        yield batch


def _check(x: Tensor, saes: Sequence[SAE], before: int) -> None:
    for d in {sae.d for sae in saes}:
        if x.ndim != 2 or x.shape[1] != d or not x.is_floating_point():
            raise ValueError(f"rows are {x.dtype} of shape {tuple(x.shape)}: expected floats of shape (n, {d})")
    if torch.isfinite(x.sum()):  # one pass, in all but broken or gigantic rows
        return
    bad = ~torch.isfinite(x).all(1)
    if bad.any():
        raise ValueError(f"row {before + int(bad.nonzero()[0])} holds NaN or infinity: expected finite numbers")


@torch.no_grad()
def _target(batch: Batch) -> Tensor:
    return batch.finish(batch.h.detach())


class _Run:
    """One SAE in training: its optimiser, its clocks, its sums since the last log."""

    def __init__(self, sae: SAE, terms: dict[str, tuple[float, Term]], train: TrainConfig) -> None:
        self.sae, self.terms, self.train = sae.train(), terms, train
        self.parameters = [p for p in sae.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(
            self.parameters,
            lr=train.lr,
            betas=(train.beta1, train.beta2),
            fused=sae.b_dec.device.type in ("cpu", "cuda"),
        )
        self.silent = torch.zeros(sae.m, dtype=torch.long, device=sae.b_dec.device)  # rows since it fired
        self.history: list[dict[str, int | float]] = []
        self.steps, self.waiting = 0, []  # per step since the last log: rows, and their loss, terms and l0

    @property
    def dead(self) -> Tensor:
        return self.silent >= self.train.dead_after

    def step(self, batch: Batch, seen: int, target: Callable[[], Tensor]) -> None:
        sae = self.sae
        x = batch.h.detach().to(sae.b_dec)
        finish = batch.finish and (lambda u: batch.finish(sae.restored(u)))
        u = sae.standardized(x)
        pre, z = sae.run(u)
        p = Pass(u, pre, z, sae.reconstruct(z), self.dead, sae, finish, finish and target, batch.sides)
        values = {name: term(p) for name, (_, term) in self.terms.items()}
        loss = sum(weight * values[name] for name, (weight, _) in self.terms.items())
        for parameter in self.parameters:  # what zero_grad does, without its hooks
            parameter.grad = None
        loss.backward()
        self._descend(self.train.rate(seen))
        if sae.config.sparsifier == "batchtopk":
            sae.follow(z)
        self._count(z, len(x), [loss, *values.values()])

    @torch.no_grad()
    def _descend(self, lr: float) -> None:
        W = self.sae.W_dec
        if self.sae.config.unit_norm:  # what would change the length of a row is taken out, the rest put back to 1
            W.grad.sub_((W.grad * W).sum(1, keepdim=True) * W)
        if self.train.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.train.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.step()
        if self.sae.config.unit_norm:
            W.div_(torch.linalg.vector_norm(W, dim=1, keepdim=True))

    @torch.no_grad()
    def _count(self, z: Any, n: int, values: list[Tensor]) -> None:
        active = z.value.detach().sign()  # none is negative; counting non-zero entries takes ten times as long
        if z.index is None:
            fires = active.sum(0)
        else:
            fires = active.new_zeros(z.m).index_add_(0, z.index.flatten(), active.flatten())
        self.silent.add_(n).masked_fill_(fires > 0, 0)
        logged = torch.stack([v.detach() for v in values] + [fires.sum() / n])
        # a small tensor that stays would break up the memory that the large ones leave, gigabytes of it in a long run
        self.waiting.append((n, logged.tolist() if logged.device.type == "cpu" else logged))
        self.steps += 1

    def log(self, seen: int) -> dict[str, int | float]:
        """Close the window: one row of the history."""
        values = torch.stack([torch.as_tensor(v) for _, v in self.waiting]).double().cpu()
        bad = ~torch.isfinite(values).all(1)
        if bad.any():
            step = self.steps - len(values) + 1 + int(bad.nonzero()[0])
            raise ValueError(f"the loss is not finite at step {step}: try a smaller lr, warm-up, or standardized rows")
        weight = torch.tensor([n for n, _ in self.waiting], dtype=torch.float64)
        mean = (weight @ values / weight.sum()).tolist()
        row = dict(zip(("loss", *self.terms, "l0"), mean, strict=True))
        self.history.append({"rows": seen, "lr": self.train.rate(seen)} | row | {"dead": int(self.dead.sum())})
        self.waiting = []
        return self.history[-1]


def _log(runs: Sequence[_Run], seen: int, bar: tqdm, on_log: Log | None) -> None:
    for number, run in enumerate(runs):
        row = run.log(seen)
        if on_log is not None:
            on_log({"sae": number} | row)
    bar.set_postfix({name: f"{runs[0].history[-1][name]:.4g}" for name in ("loss", "l0", "dead")})


def _key(runs: Sequence[_Run]) -> list[Any]:
    """What must be the same for a state to be continued."""
    return [
        {
            "sae": asdict(run.sae.config),
            "train": asdict(run.train),
            "terms": {name: weight for name, (weight, _) in run.terms.items()},
        }
        for run in runs
    ]


def _save(path: Path, runs: Sequence[_Run], seen: int) -> None:
    tensors = {}
    for i, run in enumerate(runs):
        tensors |= {f"{i}.sae.{name}": t for name, t in run.sae.state_dict().items()} | {f"{i}.silent": run.silent}
        tensors |= {f"{i}.{name}": t for name, t in storage.moments(run.optimiser).items()}
    state = {"key": _key(runs), "rows": seen, "steps": runs[0].steps, "history": [run.history for run in runs]}
    storage.write_state(path, state, tensors)


def _load(path: Path, runs: Sequence[_Run]) -> int:
    """Put every run where the file says it was; the rows seen by then, 0 where there is no file."""
    if not path.is_file():
        return 0
    state, tensors = storage.read_state(path)
    if state["key"] != _key(runs):
        raise ValueError(f"{path}: belongs to a run with other SAEs, terms or settings; delete it to start anew")
    for i, run in enumerate(runs):
        own = storage.under(f"{i}.", tensors)
        run.sae.load_state_dict(storage.under("sae.", own))
        storage.remember(run.optimiser, own)
        run.silent = own["silent"].to(run.silent.device)
        run.history, run.steps = state["history"][i], state["steps"]
    return state["rows"]
