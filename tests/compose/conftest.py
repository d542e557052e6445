"""A host on which docker-compose.yml can be brought up; see engine.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.engine import Engine, copy_checkout

NAMES = {"db.example.org": "postgres", "minio.example.org": "", "search.example.org": "proxy"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for a whole file of tests, in a new checkout; nothing is up yet."""
    needed = ("ip", "curl", "nsenter", "setpriv", "unshare")
    missing = [name for name in needed if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and {', '.join(missing) or 'its namespaces'}")
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "true"]
    if subprocess.run(namespaces, capture_output=True).returncode:
        pytest.skip("needs namespaces, which root may not make here")
    checkout = copy_checkout(Path(tmp_path_factory.mktemp("host"), "passerby"))
    with Engine(checkout, NAMES) as engine:
        yield engine
