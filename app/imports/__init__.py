"""Bulk imports: what archives, folders and bucket prefixes hold, and the job that takes it in."""
