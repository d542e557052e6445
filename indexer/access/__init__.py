"""Who may come in, how often, and what of it is on record."""
