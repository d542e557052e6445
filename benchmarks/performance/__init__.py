"""How fast Passerby is, against what a user would otherwise run: `make bench`."""
