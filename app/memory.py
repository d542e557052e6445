"""How memory is handed out and taken back."""

from __future__ import annotations

import contextlib
import ctypes
import gc

_ARENA_MAX = -8  # of <malloc.h>
_FEW = 2


def keep_few_arenas() -> None:
    """Where this is glibc, as in MALLOC_ARENA_MAX=2: call it before there are threads.

    Else each of many threads fills an area of its own, and what stays for long, like vectors of
    descriptions, keeps all of them from being given back: 100 MB in an hour of searches.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _FEW)


def leave_out_of_collection() -> None:
    """What is there by now stays: looking through it again and again would hold requests up."""
    gc.collect()
    gc.freeze()


def let_go_at_the_end() -> None:
    """What was left out is collected again, as the interpreter ends: libraries in C++ would say at
    length that it is still there."""
    gc.unfreeze()
