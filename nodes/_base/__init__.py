"""What every node does: run, wait, show, hand over."""
