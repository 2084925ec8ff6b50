"""Every figure as a function of numbers. Knows numbers only."""
