"""What was ordered and what became of it."""
