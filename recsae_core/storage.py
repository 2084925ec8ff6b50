"""Tensors with their configuration: folders of one safetensors file beside one JSON file."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsae_core.files import atomic, read_json, write_json

__all__ = ["CONFIG", "WEIGHTS", "atomic", "load", "read_json", "save", "write_json"]

WEIGHTS, CONFIG = "weights.safetensors", "config.json"


def save(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Write tensors and their configuration as one folder, replacing an older one as a whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        temporary = Path(name) / "new"
        temporary.mkdir()
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary / WEIGHTS)
        write_json(temporary / CONFIG, config)
        if folder.exists():
            shutil.move(folder, Path(name) / "old")
        os.replace(temporary, folder)


def load(folder: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the configuration that ``save`` wrote; ``ValueError`` names what is missing or damaged."""
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: no {name}; expected a folder with {WEIGHTS} and {CONFIG}")
    try:
        return load_file(folder / WEIGHTS, device=str(device)), read_json(folder / CONFIG)
    except Exception as error:  # safetensors raises its own error type for a damaged header
        raise ValueError(f"{folder}: cannot be read ({error}); delete it and make it again") from error
