"""Maps of galleries: asked for, laid out, kept."""
