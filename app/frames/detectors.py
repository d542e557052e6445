"""Detectors of others: made by a function that PASSERBY_DETECTOR names."""

from __future__ import annotations

import importlib

from app.errors import CommandError
from indexer.protocols import Detector

_PARTS = ("fingerprint", "max_side_px", "detect")


def load_python_detector(name: str) -> Detector:
    """What the function of `python:MODULE:FUNCTION` returns, see docs/frames.md.

    Raises CommandError where there is no such function, or it returns no detector.
    """
    _, _, place = name.partition(":")
    module_name, colon, function_name = place.partition(":")
    if not (module_name and colon and function_name):
        raise CommandError(f"PASSERBY_DETECTOR: expected python:MODULE:FUNCTION, got {name!r}")
    try:
        detector = getattr(importlib.import_module(module_name), function_name)()
    except Exception as error:  # it is somebody else's code
        said = f"{type(error).__name__}: {error}"
        raise CommandError(f"PASSERBY_DETECTOR: {name} gives no detector: {said}") from error
    if missing := [part for part in _PARTS if not hasattr(detector, part)]:
        raise CommandError(
            f"PASSERBY_DETECTOR: {name} gives a {type(detector).__name__}, which has no "
            + ", ".join(missing)
        )
    return detector  # type: ignore[no-any-return]
