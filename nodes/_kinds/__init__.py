"""The kinds of node: nodes that generate, upload, or run a workflow."""
