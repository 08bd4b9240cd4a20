"""What every node does: run tasks, wait, show progress, return outputs."""
