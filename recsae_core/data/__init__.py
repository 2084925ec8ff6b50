"""Raw files to ``Interactions``: sources, the planted world, splits. Knows no other part of the package."""
