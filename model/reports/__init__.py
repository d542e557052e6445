"""What is measured of a model, as tables beside the published numbers."""
