"""Decide, row by row, whether the motion is steady or something physical happens."""
