"""Edits of a code and what they do to the lists. Knows recommenders and dictionaries by their contracts."""
