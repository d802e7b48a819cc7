"""What draws and tells: reports, plots, the record of a run."""
