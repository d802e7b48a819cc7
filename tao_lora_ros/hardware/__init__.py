"""What the model runs on: the CPU or a GPU, which of them and why, and facts of the machine."""
