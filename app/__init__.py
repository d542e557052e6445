"""HTTP in, ranked people out."""
