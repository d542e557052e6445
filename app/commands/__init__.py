"""What the `passerby` commands do, a file each; app/cli.py only names them."""
