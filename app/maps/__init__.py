"""Maps of galleries: asked for, followed, looked at."""
