"""What a platform must be able to do, how its answers are read, its models."""
