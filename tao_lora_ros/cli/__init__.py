"""The `tao-lora` command."""
