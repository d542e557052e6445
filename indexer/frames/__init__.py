"""Whole camera frames: kept, searched for people, removed."""
