"""How a report leaves: the letter, its signature, and one channel per file."""
