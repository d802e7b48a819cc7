"""What draws and tells: reports, plots, and the record of a run that they show."""
