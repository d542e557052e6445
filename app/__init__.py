"""HTTP in, ranked people out."""

__version__ = "0.1.0"
