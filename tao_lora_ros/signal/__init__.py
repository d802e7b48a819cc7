"""From bytes to aligned rows: CDR decoding, sources, alignment, windows."""
