"""What everything shares: data types, errors, texts and the background loop."""
