"""Whole camera frames over HTTP, and the detectors that look at them."""
