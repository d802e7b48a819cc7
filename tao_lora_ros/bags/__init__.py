"""Recordings: read, replay, record, report."""
