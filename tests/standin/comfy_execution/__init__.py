"""What nodes may import of the executor."""
