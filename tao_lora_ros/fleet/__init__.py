"""Many bags: found, replayed on all cores or a Ray cluster, kept as Parquet, compared."""
