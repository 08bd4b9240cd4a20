"""The nouns, errors, texts and the background loop that everything shares."""
