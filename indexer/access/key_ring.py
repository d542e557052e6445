"""Access keys and who is logged in by one. Only hashes of secrets are kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Row, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from indexer.access.audit_log import AuditLog, Deed
from indexer.database.transactions import Database
from indexer.errors import InvalidKey, KeyExists, KeyNotFound
from indexer.records import SLUG
from indexer.tables import keys, sessions

Scope = Literal["search", "ingest", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
KEY_PREFIX = "passerby_"  # so that scanners for leaked secrets can know one
_ANY = select(exists().select_from(keys))
KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
MAX_REQUESTS_PER_MINUTE = 1_000_000


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a key may do. galleries: the names it is bound to, None for all. Times are aware."""

    id: int
    name: str
    scopes: frozenset[Scope]
    galleries: frozenset[str] | None
    requests_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_active(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def told(self) -> str:
        """Itself in one line, as it goes on record."""
        where = "all galleries" if self.galleries is None else ", ".join(sorted(self.galleries))
        rate = f" at {self.requests_per_minute} a minute" if self.requests_per_minute else ""
        until = f" until {self.expires_at.isoformat()}" if self.expires_at else ""
        return f"{self.name} for {', '.join(sorted(self.scopes))} in {where}{rate}{until}"


class KeyRing:
    """Every query on keys and sessions. Raises DatabaseUnavailable as all of this package does."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def create(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        galleries: Collection[str] | None = None,
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
        secret: str | None = None,
        deed: Callable[[AccessKey], Deed] | None = None,
    ) -> tuple[str, AccessKey]:
        """A new key and its secret (256 random bits), which is nowhere to be had again.

        secret: one that was made elsewhere, as hard to guess. deed: what goes on record of it, in
        the same transaction. Raises InvalidKey, KeyExists (names are not used twice: the audit log
        has them).
        """
        _check(name, scopes, galleries, requests_per_minute)
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(32)
        values: dict[str, Any] = {
            "name": name,
            "sha256": _hash(secret),
            "scopes": sorted(set(scopes)),
            "galleries": None if galleries is None else sorted(set(galleries)),
            "requests_per_minute": requests_per_minute,
            "expires_at": expires_at,
        }
        with self._database.write() as connection:
            now = self._database.now(connection)
            if expires_at is not None and expires_at <= now:
                raise InvalidKey(f"expiry: expected a time to come, got {expires_at}")
            made = insert(keys).values(**values, created_at=now).returning(keys)
            try:
                key = _key(connection.execute(made).one())
            except IntegrityError as error:
                raise KeyExists(name) from error
            if deed is not None:
                self._audit.append(connection, deed(key))
            return secret, key

    def all(self) -> list[AccessKey]:
        """By name, revoked and expired ones too."""
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.name))]

    def are_in_use(self) -> bool:
        """Whether any key was ever made; revoking the last one doesn't open the doors again."""
        return bool(self._database.rows(_ANY)[0][0])

    def find(self, secret: str) -> AccessKey | None:
        """The active key with this secret."""
        return self._find_active(keys.c.sha256 == _hash(secret))

    def known(self, secret: str) -> AccessKey | None:
        """The key with this secret, whether it is active or not."""
        return self._find(keys.c.sha256 == _hash(secret))

    def revoke(self, name: str, deed: Callable[[AccessKey], Deed] | None = None) -> AccessKey:
        """End a key and all its sessions now; a second time changes nothing. deed: as of create.

        Raises KeyNotFound.
        """
        if not KEY_NAME.fullmatch(name):  # there is none; and some texts no database compares
            raise KeyNotFound(name)
        with self._database.write() as connection:
            now = self._database.now(connection)
            active = (keys.c.name == name) & keys.c.revoked_at.is_(None)
            connection.execute(update(keys).where(active).values(revoked_at=now))
            row = connection.execute(select(keys).where(keys.c.name == name)).one_or_none()
            if row is None:
                raise KeyNotFound(name)
            connection.execute(delete(sessions).where(sessions.c.key_id == row.id))
            key = _key(row)
            if deed is not None:
                self._audit.append(connection, deed(key))
            return key

    def open_session(self, key: AccessKey, lasts: timedelta) -> str:
        """A secret that stands for the key for so long. Forgets sessions that are over."""
        secret = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            now = self._database.now(connection)
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            values = {"sha256": _hash(secret), "key_id": key.id, "expires_at": now + lasts}
            connection.execute(insert(sessions).values(**values))
        return secret

    def find_session(self, secret: str) -> AccessKey | None:
        """The active key that this session stands for."""
        lasts = sessions.c.expires_at > self._database.clock
        mine = (sessions.c.sha256 == _hash(secret)) & lasts
        return self._find_active(
            keys.c.id == select(sessions.c.key_id).where(mine).scalar_subquery()
        )

    def close_session(self, secret: str) -> None:
        """Log out; nothing happens where there is no such session."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.sha256 == _hash(secret)))

    def _find_active(self, which: ColumnElement[bool]) -> AccessKey | None:
        lasts = keys.c.expires_at.is_(None) | (keys.c.expires_at > self._database.clock)
        return self._find(which, keys.c.revoked_at.is_(None), lasts)

    def _find(self, *which: ColumnElement[bool]) -> AccessKey | None:
        for row in self._database.rows(select(keys).where(*which)):
            return _key(row)
        return None


def _check(
    name: str, scopes: Collection[str], galleries: Collection[str] | None, rate: int | None
) -> None:
    if not KEY_NAME.fullmatch(name):
        raise InvalidKey(
            f"name {name[:80]!r}: expected 1 to 64 of A-Z, a-z, 0-9, '.', '_', '@' and '-', "
            "starting with a letter or a digit"
        )
    if not scopes or not set(scopes) <= set(SCOPES):
        got = ", ".join(sorted(scopes)) or "none"
        raise InvalidKey(f"scopes: expected some of {', '.join(SCOPES)}, got {got}")
    if galleries is not None and (not galleries or not all(map(SLUG.fullmatch, galleries))):
        raise InvalidKey(f"galleries: expected names of galleries, got {sorted(galleries)}")
    if rate is not None and not 1 <= rate <= MAX_REQUESTS_PER_MINUTE:
        raise InvalidKey(
            f"requests per minute: expected 1 to {MAX_REQUESTS_PER_MINUTE}, got {rate}"
        )


def _hash(secret: str) -> str:
    """A plain hash is enough: what it hides is 256 random bits, not a password."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _key(row: Row[Any]) -> AccessKey:
    return AccessKey(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes),
        galleries=None if row.galleries is None else frozenset(row.galleries),
        requests_per_minute=row.requests_per_minute,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
