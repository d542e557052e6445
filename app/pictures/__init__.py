"""A picture's bytes as an answer, and why it was found."""
