"""Recommenders that stop half-way: models that split at a site, one fit loop, full ranking. Knows ``data``."""
