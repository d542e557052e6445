"""What the machine gives this process, for Prometheus: room on disks, and how much memory."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_MEMINFO = Path("/proc/meminfo")
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


class MachineCollector(Collector):
    """Looks when somebody asks."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """folders: by what is kept there, a word."""
        self._folders = folders

    def collect(self) -> Iterable[Metric]:
        """A folder that is gone has no figures, nor has memory where this is no Linux."""
        size = GaugeMetricFamily(
            "passerby_disk_bytes", "Of the disk that something is kept on.", labels=["kept"]
        )
        free = GaugeMetricFamily(
            "passerby_disk_free_bytes", "What is left of that disk.", labels=["kept"]
        )
        for kept, folder in self._folders.items():
            with suppress(OSError):
                disk = shutil.disk_usage(folder)
                size.add_metric([kept], disk.total)
                free.add_metric([kept], disk.free)
        yield size
        yield free
        limit = memory_limit_bytes()
        if limit is not None:
            yield GaugeMetricFamily(
                "passerby_memory_limit_bytes",
                "The most that this process may have: the container's limit, else the machine's.",
                limit,
            )


def memory_limit_bytes(
    meminfo: Path = _MEMINFO, own_group: Path = _OWN_GROUP, groups: Path = _GROUPS
) -> int | None:
    """The least of the machine's memory and the limits of the control groups (v2) that this
    process is in; None where neither can be read."""
    limits = []
    with suppress(OSError):
        if total := re.search(r"^MemTotal: +(\d+) kB$", meminfo.read_text(), re.M):
            limits.append(1024 * int(total[1]))
    with suppress(OSError):
        inside = groups / own_group.read_text().strip().rpartition("::")[2].strip("/")
        for group in (inside, *inside.parents):
            with suppress(OSError, ValueError):  # it is `max`, or above all groups
                limits.append(int((group / "memory.max").read_text()))
    return min(limits, default=None)
