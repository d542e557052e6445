"""Rows as work: claimed under leases, done in loops, watched."""
