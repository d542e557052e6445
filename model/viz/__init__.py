"""Figures for a paper: arrays in, a matplotlib Figure out, PNG and SVG on disk."""
