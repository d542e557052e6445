"""Bytes to pixels, safely."""
