"""The index in Milvus, for galleries that no one machine's memory holds: docs/milvus.md."""
