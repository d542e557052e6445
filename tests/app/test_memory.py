"""Memory that many threads take."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Twenty threads, each holding small blocks while all are there; how many arenas that made.
COUNT = """
import re, sys, threading
from app.memory import keep_few_arenas
if sys.argv[1] == "few":
    keep_few_arenas()
together, kept = threading.Barrier(20), []
def take():
    together.wait()
    kept.append([bytes(700) for _ in range(2000)])
    together.wait()
threads = [threading.Thread(target=take) for _ in range(20)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
maps = open("/proc/self/maps").read()
starts = re.findall(r"^([0-9a-f]+)-\\S+ rw-p 00000000 00:00 0 *$", maps, re.M)
print(sum(int(start, 16) % 2**26 == 0 for start in starts))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have no arenas")
def test_keep_few_arenas_holds_for_threads_that_come_later() -> None:
    many, few = (
        int(subprocess.check_output([sys.executable, "-c", COUNT, how], text=True))
        for how in ("many", "few")
    )
    assert few <= 1 < many  # the first arena is the heap


def test_what_is_left_out_of_collection_is_not_looked_through() -> None:
    code = (
        "import gc; from app.memory import leave_out_of_collection; "
        "leave_out_of_collection(); print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 50)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True True\n"
