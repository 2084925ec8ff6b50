"""Tensors with what belongs to them: a model's folder, and the one file that a killed training goes on from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsae_core.files import atomic, read_json, whole, write_json

WEIGHTS, CONFIG = "weights.safetensors", "config.json"
SCALE = "#scale"  # of the rows of a matrix of eight bits: under its name with this at the end


def save(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any], rounded: str | None = None) -> None:
    """Write tensors and their configuration as one folder, replacing an older one as a whole.

    ``rounded`` to "half" precision, or to "int8": eight bits and a scale a row of a matrix, the rest in half. Without
    it a float32 tensor that loses nothing in half precision is written so.
    """
    if rounded not in (None, "half", "int8"):
        raise ValueError(f"rounded={rounded!r}: expected 'half', 'int8' or None")
    stored: dict[str, Tensor] = {}
    for name, t in tensors.items():
        t = t.detach().cpu().contiguous()
        if rounded == "int8" and t.dtype == torch.float32 and t.ndim == 2 and t.shape[1] > 1:
            scale = t.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
            stored |= {name: (t / scale).round().to(torch.int8), name + SCALE: scale}
        else:
            stored[name] = t.half() if rounded and t.dtype == torch.float32 else _small(t)
    with whole(folder) as fresh:
        save_file(stored, fresh / WEIGHTS)
        write_json(fresh / CONFIG, config)


def load(folder: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the configuration that ``save`` wrote; ``ValueError`` names what is missing or damaged."""
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: no {name}; expected a folder with {WEIGHTS} and {CONFIG}")
    try:
        stored = load_file(folder / WEIGHTS, device=str(device))
        plain = {k: v.float() if v.dtype == torch.half else v for k, v in stored.items() if not k.endswith(SCALE)}
        tensors = {k: v * stored[k + SCALE] if k + SCALE in stored else v for k, v in plain.items()}
        return tensors, read_json(folder / CONFIG)
    except Exception as error:  # safetensors raises its own error type for a damaged header
        raise ValueError(f"{folder}: cannot be read ({error}); delete it and make it again") from error


def _small(t: Tensor) -> Tensor:
    half = t.half() if t.dtype == torch.float32 else t
    return half if torch.equal(half.to(t.dtype), t) else t


def write_state(path: Path, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as one safetensors file whose header carries the JSON ``state``: it cannot be half-new."""
    copies = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    with atomic(path) as temporary:
        save_file(copies, temporary, metadata={"state": json.dumps(state)})


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``write_state`` wrote; ``ValueError`` where it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["state"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own error type for a damaged header
        raise ValueError(f"{path}: cannot be read ({error}); delete it to start anew") from error


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by the rest of their names."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter, as "adam.PARAMETER.NAME"."""
    state = optimiser.state_dict()["state"]
    return {f"adam.{index}.{name}": t for index, found in state.items() for name, t in found.items()}


def remember(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``moments`` found."""
    state: dict[int, dict[str, Tensor]] = {}
    for place, t in under("adam.", tensors).items():
        index, _, name = place.partition(".")
        state.setdefault(int(index), {})[name] = t
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
