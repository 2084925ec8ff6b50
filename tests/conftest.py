"""Shapes and types of the annotated functions are checked while the tests run, and nowhere else."""

import os

from jaxtyping import install_import_hook

if os.environ.get("RECSAE_CHECK_SHAPES", "1") == "1":
    install_import_hook(["recsae_core", "recsae_book"], "beartype.beartype")
