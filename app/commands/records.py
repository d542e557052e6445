"""What is done on the command line, on record under the name of who did it."""

from __future__ import annotations

import os
import pwd
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.access.caller import Caller
    from indexer.access.audit_log import Action
    from indexer.catalogue import Catalogue


def command_caller() -> Caller:
    """Whoever runs this command: who reaches the database needs no key."""
    from app.access.caller import Caller

    uid = os.getuid()  # not what the environment says, which anybody may set
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user may have no name
        user = str(uid)
    return Caller(f"cli:{user}"[:64], request_id=uuid.uuid4().hex)


def record_command(
    catalogue: Catalogue, action: Action, gallery: str | None = None, *, what: str
) -> None:
    """Put it on record before it is done. Raises DatabaseUnavailable, StorageFull."""
    from app.access.audit import put_on_record

    put_on_record(catalogue, command_caller(), action, gallery, what=what)
