"""The dual-path mixer and the files that it is kept in."""
