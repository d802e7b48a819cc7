"""Measurements beside what people use instead: `tao-lora bench`."""
