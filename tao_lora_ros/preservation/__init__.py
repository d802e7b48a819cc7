"""Keep the raw samples of every event."""
