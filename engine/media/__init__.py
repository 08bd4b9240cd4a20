"""What a file is, whether it fits, bringing one to this disk."""
