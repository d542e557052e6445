"""Pairs of pictures and captions: where they come from and how they are fed to a model."""
