"""Kernels of the dual-path model, one idea a file, each with its plain-torch reference."""
