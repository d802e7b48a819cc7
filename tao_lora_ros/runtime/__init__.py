"""What runs the model: the CPU or a GPU, which of them and why."""
