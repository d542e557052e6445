"""A host's network of its own, with no way out: a bridge, a cable to each container, and the ports
that are published on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_FORWARD = """
import asyncio, sys
async def pour(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
async def main(address, port, inner_address, inner_port):
    async def take(reader, writer):
        try:
            there = await asyncio.open_connection(inner_address, inner_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pour(reader, there[1]), pour(there[0], writer))
    server = await asyncio.start_server(take, address, port)
    print(flush=True)
    await server.serve_forever()
asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
"""


HOST = "10.89.0.1"


class Network:
    """Containers are 10.89.0.2 and up. close() ends all of it."""

    def __init__(self) -> None:
        self._host = subprocess.Popen(
            ["unshare", "--net", "--kill-child", "--fork", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._host.stdout is not None
        self._host.stdout.readline()
        children = Path(f"/proc/{self._host.pid}/task/{self._host.pid}/children")
        self._pid = children.read_text().strip()
        self._forwarders: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self._run("ip link set lo up")
        self._run("ip link add br0 type bridge")
        self._run(f"ip addr add {HOST}/24 dev br0")
        self._run("ip link set br0 up")

    def on_host(self, command: Sequence[str]) -> list[str]:
        """The command, run where the host's ports are."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", *command]

    def plug_in(self, pid: int, number: int) -> None:
        """Give the container whose first process is `pid` its address."""
        inside = f"nsenter --net=/proc/{pid}/ns/net "
        # The same each time, as an engine does it: others remember which card has an address.
        card = f"02:42:0a:59:00:{number + 2:02x}"
        self._run(f"ip link add c{number} type veth peer name eth0 address {card} netns {pid}")
        self._run(f"ip link set c{number} master br0 up")
        for command in ("link set lo up", f"addr add {address(number)}/24 dev eth0"):
            _run((inside + "ip " + command).split())
        _run((inside + "ip link set eth0 up").split())

    def publish(self, host_address: str, port: int, number: int, inner_port: int) -> None:
        """Let a container's port be reached on the host. Raises OSError where it is taken."""
        key = (host_address, port)
        if key in self._forwarders:
            return
        words = [sys.executable, "-c", _FORWARD, host_address, str(port)]
        forwarder = subprocess.Popen(
            self.on_host([*words, address(number), str(inner_port)]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert forwarder.stdout is not None
        if not forwarder.stdout.readline():
            raise OSError(f"port {host_address}:{port} can't be published")
        self._forwarders[key] = forwarder

    def unpublish_all(self) -> None:
        for forwarder in self._forwarders.values():
            forwarder.kill()
            forwarder.communicate()
        self._forwarders.clear()

    def close(self) -> None:
        self.unpublish_all()
        self._host.communicate()

    def _run(self, command: str) -> None:
        _run(self.on_host(command.split()))


def address(number: int) -> str:
    """Of the container with this number."""
    return f"10.89.0.{number + 2}"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stderr)
