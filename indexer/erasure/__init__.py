"""Deletes pictures for good: from the database, from storage, and from what is restored later."""
