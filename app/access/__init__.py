"""Who may do what, and what of it goes on record."""
