"""Sparse autoencoders on rows of any origin. Knows tensors only: it serves any ``[n, d]`` array."""

from recsae_core.sae.autoencoder import SAE, SAEConfig
from recsae_core.sae.base import Code, Dictionary
from recsae_core.sae.fit import FitResult, TrainConfig, fit
from recsae_core.sae.terms import Pass

__all__ = ["SAE", "Code", "Dictionary", "FitResult", "Pass", "SAEConfig", "TrainConfig", "fit"]
