"""Connections, transactions, schema upgrades and notices on SQLite and PostgreSQL."""
