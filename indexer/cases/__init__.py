"""Pictures of one gallery collected with notes, each change on record."""
