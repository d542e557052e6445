"""The database's schema, step by step. Run through indexer.migrate, or `alembic` by hand."""
