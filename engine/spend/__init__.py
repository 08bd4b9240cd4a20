"""What orders cost, and how much may be spent."""
