"""The life of one task, from order to result."""
