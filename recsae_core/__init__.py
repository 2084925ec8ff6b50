"""Sparse autoencoders inside recommenders: split a model at a site, read it, edit it, run on.

The parts are imported by name (``from recsae_core.sae import SAE``), so that importing the package costs
nothing and no part drags in another.
"""

__version__ = "0.1.0"
