"""Detectors and models of others: made by a function that a setting names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from app.errors import CommandError


def make_plugin(setting: str, noun: str, name: str, parts: Sequence[str]) -> Any:
    """What the function of `python:MODULE:FUNCTION` returns.

    setting, noun: for people. Raises CommandError where there is no such function, or one of these
    parts is missing in what it returns.
    """
    _, _, place = name.partition(":")
    module_name, colon, function_name = place.partition(":")
    if not (module_name and colon and function_name):
        raise CommandError(f"{setting}: expected python:MODULE:FUNCTION, got {name!r}")
    try:
        made = getattr(importlib.import_module(module_name), function_name)()
    except Exception as error:  # it is somebody else's code
        said = f"{type(error).__name__}: {error}"
        raise CommandError(f"{setting}: {name} gives no {noun}: {said}") from error
    if missing := [part for part in parts if not hasattr(made, part)]:
        raise CommandError(
            f"{setting}: {name} gives a {type(made).__name__}, which has no " + ", ".join(missing)
        )
    return made
