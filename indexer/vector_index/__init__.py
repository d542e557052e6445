"""Implementations of protocols.VectorIndex."""
