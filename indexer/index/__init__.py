"""The index in memory: kept in step with the catalogue, searched, started from snapshots."""
