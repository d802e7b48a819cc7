"""What the parts of a benchmark are called; read by the command line, which loads nothing else."""

ACCURACY = (
    "borealtc",
    "tcn",
    "four-bits",
    "routing",
    "sim",
    "hops",
    "peers",
    "elsewhere",
    "robots",
)
