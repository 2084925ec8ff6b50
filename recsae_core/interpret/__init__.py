"""What a dictionary's latents mean: alignment, nulls, statistics. Knows recommenders and SAEs by their contracts."""
