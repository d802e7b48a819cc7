"""What a user's own model and node cost on a user's own machine: `tao-lora bench`."""
