"""Bulk imports as jobs that any process can go on with."""
