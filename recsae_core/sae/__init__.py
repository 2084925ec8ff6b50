"""Sparse autoencoders on rows of any origin. Knows tensors only: it serves any ``[n, d]`` array."""
