"""Single columns that are encrypted, each value with a key that it names, and how all go over to a new key."""
