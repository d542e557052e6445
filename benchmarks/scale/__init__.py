"""What 1 million to 1 billion pictures take, from what was measured: docs/scale.md."""
