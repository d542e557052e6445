"""The `docker` on a test's PATH: hands its words, its folder and its standard streams to the engine
(engine.py), and ends with the exit code that it answers."""

import json
import os
import socket
import sys
from pathlib import Path


def main() -> int:
    if sys.argv[1:2] != ["compose"]:
        print(f"only `docker compose` is here, got {sys.argv[1:]}", file=sys.stderr)
        return 125
    asked = {"words": sys.argv[2:], "folder": str(Path.cwd()), "variables": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(os.environ["STAND_IN_SOCKET"])
        socket.send_fds(engine, [json.dumps(asked).encode()], [0, 1, 2])
        return int(engine.recv(16) or 1)


if __name__ == "__main__":
    sys.exit(main())
