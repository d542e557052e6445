"""The schema, step by step. Run by indexer.database.migrate, or `alembic` by hand."""
