"""For researchers: train, measure, compare and convert models."""
