"""Which process runs which tests, when there are several."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling


class ByFile(LoadScopeScheduling):
    """A file's tests stay together, in their order, and share what they set up; so does a folder's
    whose browser they share."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.split("::")[0])
        return str(file.parent if file.parent.name == "e2e" else file)
