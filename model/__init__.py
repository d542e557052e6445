"""Learns and runs the dual encoder that compares pictures of people with descriptions."""
