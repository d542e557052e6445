"""The models that this process has loaded: see docs/models.md."""
