"""Weight files that other programs wrote: read without running anything in them, and explained."""
