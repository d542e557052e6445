"""Bytecode is kept, whatever the environment says: tests start hundreds of programs, and each would
compile all that it imports."""

import os
import sys

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
