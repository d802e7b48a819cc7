"""What runs the model: CPU or GPU, which of them and why."""
