"""What is done on the command line, on record under the name of who did it."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.caller import Caller
    from indexer.audit_log import Action
    from indexer.catalogue import Catalogue


def command_caller() -> Caller:
    """Whoever runs this command: who reaches the database needs no key."""
    from app.caller import Caller

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return Caller(f"cli:{user}"[:64])


def record_command(
    catalogue: Catalogue,
    action: Action,
    gallery: str | None = None,
    *,
    what: str | None = None,
    image_ids: Sequence[int] = (),
    reason: str | None = None,
) -> None:
    """Put it on record before it is done. Raises DatabaseUnavailable, StorageFull."""
    from indexer.audit_log import Deed

    deed = Deed(
        who=command_caller().name,
        action=action,
        gallery=gallery,
        what=what,
        image_ids=tuple(image_ids),
        reason=reason,
    )
    catalogue.audit.record(deed)
