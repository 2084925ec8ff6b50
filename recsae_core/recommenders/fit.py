"""The one loop that trains every recommender by gradient descent: early stopping, best weights, resume."""

import math
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm

from recsae_core import storage
from recsae_core.recommenders.base import Cases, Recommender
from recsae_core.recommenders.cases import Holdout
from recsae_core.recommenders.ranking import evaluate

Row = dict[str, int | float]
OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class FitConfig:
    """How to train; the best epoch is the one with the highest NDCG@10 on the validation cases."""

    epochs: int = 100  # 0: the model stays as it was initialised
    batch: int = 256  # cases a step
    lr: float = 1e-3  # the learning rate after the warm-up
    warmup: int = 0  # steps over which the learning rate rises linearly
    decay: str = "none"  # "none" | "cosine": to a hundredth of ``lr`` at the last epoch
    patience: int = 10  # evaluations without a new best before training stops
    evaluate_every: int = 1  # epochs
    valid_users: int | None = None  # random validation cases, the same in each evaluation; None = all
    optimiser: str = "adam"  # or "sgd", without momentum
    weight_decay: float = 0.0  # times each weight, no bias, is added to its gradient, as torch's Adam has it

    def __post_init__(self) -> None:
        for name, low in {"epochs": 0, "batch": 1, "warmup": 0, "patience": 1, "evaluate_every": 1}.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least {low}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr={self.lr}: expected a positive number")
        for name, known in {"decay": ("none", "cosine"), "optimiser": OPTIMISERS}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(known)}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay={self.weight_decay}: expected at least 0")
        if self.valid_users is not None and self.valid_users < 1:
            raise ValueError(f"valid_users={self.valid_users}: expected at least 1, or None for all")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step ``step`` (from 0) of ``steps``."""
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        cosine = 0.505 + 0.495 * math.cos(math.pi * step / steps) if self.decay == "cosine" else 1.0
        return self.lr * warm * cosine


@dataclass(frozen=True)
class FitReport:
    """What happened: a row an epoch (``epoch`` from 1, ``loss``, and the metrics where it was evaluated)."""

    history: list[Row]
    best_epoch: int
    seconds: float  # of training and evaluation, over all resumed parts


def fit(
    model: Recommender,
    train: Cases,
    valid: Holdout,
    config: FitConfig,
    *,
    seed: int,
    device: str = "cpu",
    resume: Path | None = None,
    progress: bool = True,
) -> FitReport:
    """Train ``model`` in place; it ends with the weights of its best epoch, in evaluation mode, on ``device``.

    ``seed`` decides the order of cases and the dropout; the global generators are left as they were. With
    ``resume``, the state is written to that file after each epoch, and a call with the same arguments goes on from
    there to the same numbers as a run that was never killed. Who has saved the model may delete the file.
    Raises ``ValueError`` where the file belongs to other arguments, or where the loss is not finite.
    """
    model.to(device)
    run = _Run(model, train, valid, config, seed, resume)
    quiet = {} if progress else {"disable": True}  # disable=False would overrule $TQDM_DISABLE
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices), tqdm(total=config.epochs, unit="epoch", **quiet) as bar:
        torch.manual_seed(seed)
        run.load()
        bar.update(run.epoch)
        while not run.done:
            bar.set_postfix(run.epoch_of_training())
            bar.update()
    model.load_state_dict(run.best)
    model.eval()
    return FitReport(run.history, run.best_epoch, run.seconds)


def _groups(model: Recommender, decay: float) -> list[dict]:
    if not decay:
        return [{"params": list(model.parameters())}]
    names = {False: [], True: []}
    for name, parameter in model.named_parameters():
        names["bias" in name].append(parameter)
    return [{"params": names[False], "weight_decay": decay}, {"params": names[True]}]


class _Run:
    """The state of one training run: all that must survive a kill."""

    def __init__(
        self, model: Recommender, train: Cases, valid: Holdout, config: FitConfig, seed: int, path: Path | None
    ) -> None:
        if not len(train):
            raise ValueError("no training case: expected at least one user with two interactions")
        if next(model.parameters(), None) is None:
            raise ValueError(f"{type(model).__name__} is not trained by gradient descent: it has no parameter")
        self.model, self.train, self.config, self.path = model, train, config, path
        self.optimiser = OPTIMISERS[config.optimiser](_groups(model, config.weight_decay), lr=config.lr, fused=True)
        self.g = torch.Generator().manual_seed(seed)
        n = min(config.valid_users or len(valid), len(valid))
        self.valid = valid[torch.randperm(len(valid), generator=self.g)[:n].sort().values]
        self.best = {name: t.detach().clone() for name, t in model.state_dict().items()}
        self.history: list[Row] = []
        self.best_epoch, self.seconds = 0, 0.0
        shapes = {name: list(p.shape) for name, p in model.named_parameters()}
        model.begin(train)
        read = (train.user, train.history, valid.cases.user, valid.cases.history, valid.target)
        data = [zlib.crc32(x.cpu().numpy().tobytes()) for x in read]
        chosen = {name: value for name, value in asdict(config).items() if name != "weight_decay" or value}
        self.key = {"fit": chosen, "seed": seed, "cases": [len(train), len(valid)], "parameters": shapes}
        self.key |= {"data": data, "model": repr(getattr(model, "config", None))}

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def done(self) -> bool:
        waited = (self.epoch - self.best_epoch) // self.config.evaluate_every
        return self.epoch >= self.config.epochs or (self.best_epoch > 0 and waited >= self.config.patience)

    def epoch_of_training(self) -> Row:
        """Train one epoch, evaluate where it is time, write the state; the row of the history."""
        start = time.perf_counter()
        row = {"epoch": self.epoch + 1, "loss": self._steps()}
        if row["epoch"] % self.config.evaluate_every == 0 or row["epoch"] == self.config.epochs:
            result = evaluate(self.model, self.valid, ks=(10,)).mean()
            row |= {name: result[name] for name in ("ndcg@10", "recall@10")}
            if not self.best_epoch or row["ndcg@10"] > self.history[self.best_epoch - 1]["ndcg@10"]:
                self.best_epoch = row["epoch"]
                self.best = {name: t.detach().clone() for name, t in self.model.state_dict().items()}
        self.history.append(row)
        self.seconds += time.perf_counter() - start
        self.save()
        return {name: round(value, 4) for name, value in row.items() if name != "epoch"}

    def _steps(self) -> float:
        self.model.train()
        steps = math.ceil(len(self.train) / self.config.batch)
        total = torch.zeros((), dtype=torch.float64)
        order = torch.randperm(len(self.train), generator=self.g)
        for step, rows in enumerate(order.split(self.config.batch)):
            for group in self.optimiser.param_groups:
                group["lr"] = self.config.rate(self.epoch * steps + step, self.config.epochs * steps)
            loss = self.model.loss(self.train[rows], self.g)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += loss.detach().cpu() * len(rows)
        mean = float(total / len(self.train))
        if not math.isfinite(mean):
            raise ValueError(f"the loss of epoch {self.epoch + 1} is {mean}: expected a number; try a smaller lr")
        return mean

    def save(self) -> None:
        """Write all state, if there is a file for it."""
        if self.path is None:
            return
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"best.{name}": t for name, t in self.best.items()} | storage.moments(self.optimiser)
        tensors |= {"generator": self.g.get_state(), "global": torch.get_rng_state()}
        device = next(self.model.parameters()).device
        if device.type == "cuda":
            tensors["cuda"] = torch.cuda.get_rng_state(device)
        state = {name: getattr(self, name) for name in ("key", "history", "best_epoch", "seconds")}
        storage.write_state(self.path, state, tensors)

    def load(self) -> None:
        """Go on from the file where there is one."""
        if self.path is None or not self.path.is_file():
            return
        state, tensors = storage.read_state(self.path)
        wrong = [name for name, value in self.key.items() if state["key"].get(name, value) != value]
        if wrong:
            raise ValueError(
                f"{self.path}: belongs to a run with another {' and '.join(wrong)}; delete it to start anew"
            )
        self.history, self.best_epoch, self.seconds = state["history"], state["best_epoch"], state["seconds"]
        device = next(self.model.parameters()).device
        self.model.load_state_dict(storage.under("model.", tensors))
        self.best = {name: t.to(device) for name, t in storage.under("best.", tensors).items()}
        storage.remember(self.optimiser, tensors)
        self.g.set_state(tensors["generator"])
        torch.set_rng_state(tensors["global"])
        if "cuda" in tensors and device.type == "cuda":
            torch.cuda.set_rng_state(tensors["cuda"], device)
