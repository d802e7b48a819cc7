"""Facts of the machine: its devices, its clocks, what a process uses."""
