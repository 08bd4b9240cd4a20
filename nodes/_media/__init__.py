"""Tensors to files and files to tensors."""
