"""Keeps galleries of pictures and makes them searchable."""
