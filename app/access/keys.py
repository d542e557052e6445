"""Access keys made and ended, each with its row in the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from app.access.audit import deed_of
from app.access.caller import Caller
from app.access.schemas import KeyCreate, KeyCreated
from app.errors import CommandError
from app.views import show_key
from indexer.access.key_ring import SCOPES
from indexer.catalogue import Catalogue
from indexer.errors import KeyExists


def create_on_record(catalogue: Catalogue, caller: Caller, wanted: KeyCreate) -> KeyCreated:
    """A key with its secret, which nobody can tell again. Raises InvalidKey, KeyExists,
    StorageFull, DatabaseUnavailable."""
    secret, key = catalogue.keys.create(
        wanted.name,
        wanted.scopes,
        galleries=wanted.galleries,
        expires_at=wanted.expires_at,
        requests_per_minute=wanted.requests_per_minute,
        deed=lambda key: deed_of(caller, "keys", what=f"create {key.told()}"),
    )
    return KeyCreated(**show_key(key).model_dump(), secret=secret)


def revoke_on_record(catalogue: Catalogue, caller: Caller, name: str) -> None:
    """End it. Raises KeyNotFound, StorageFull, DatabaseUnavailable."""
    catalogue.keys.revoke(name, lambda key: deed_of(caller, "keys", what=f"revoke {key.name}"))


def ensure_admin_key(catalogue: Catalogue, caller: Caller, secret: str) -> tuple[str, bool]:
    """The name of the key with this secret, and whether it was made now: for everything, `admin` or
    `admin-2`, ... where there were others. One that was ended does not come back.

    Raises CommandError, StorageFull, DatabaseUnavailable.
    """
    for number in count(1):
        key = catalogue.keys.known(secret)
        if key is not None and not key.is_active(datetime.now(UTC)):
            raise CommandError(
                f"PASSERBY_ADMIN_KEY: this is key {key.name}, which was ended: put a new one there"
            )
        if key is not None:
            return key.name, False
        try:
            _, key = catalogue.keys.create(
                "admin" if number == 1 else f"admin-{number}",
                SCOPES,
                secret=secret,
                deed=lambda key: deed_of(caller, "keys", what=f"create {key.told()}"),
            )
            return key.name, True
        except KeyExists:
            continue  # of another secret; or of this one, made by another process just now
    raise AssertionError
