"""Access keys made and ended, each with its row in the audit log."""

from __future__ import annotations

from app.access.audit import deed_of
from app.access.caller import Caller
from app.access.schemas import KeyCreate, KeyCreated
from app.views import show_key
from indexer.catalogue import Catalogue


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
