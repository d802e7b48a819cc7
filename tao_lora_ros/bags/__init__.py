"""Recordings: read, write, import, replay; rows and labels of them."""
