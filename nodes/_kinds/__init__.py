"""The kinds of node: those that generate, upload or run a workflow."""
