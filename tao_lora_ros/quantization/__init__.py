"""Weights to INT4 and INT8, and the low-rank branch that gives back what rounding took."""
