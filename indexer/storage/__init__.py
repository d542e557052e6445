"""Picture bytes by their hash, in a folder or a bucket."""
