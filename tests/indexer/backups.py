"""A database as an operator backs it up and puts it back."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from pathlib import Path

import psycopg

from indexer.catalogue import Catalogue


class Backup:
    """A copy of a database as it is now."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self._catalogue = catalogue
        self._url = catalogue.database.engine.url
        self._copy = f"backup_{uuid.uuid4().hex[:12]}"
        self._file = folder / self._copy
        catalogue.close()  # PostgreSQL copies a database that nobody uses
        if catalogue.database.is_postgresql:
            self._admin(f"CREATE DATABASE {self._copy} TEMPLATE {self._url.database}")
        else:
            source, copy = sqlite3.connect(str(self._url.database)), sqlite3.connect(self._file)
            source.backup(copy)
            source.close()
            copy.close()

    def restore(self) -> Catalogue:
        """Put it back in place of what is there."""
        self._catalogue.close()
        name = str(self._url.database)
        if self._catalogue.database.is_postgresql:
            self._admin(f"DROP DATABASE {name} WITH (FORCE)")
            self._admin(f"CREATE DATABASE {name} TEMPLATE {self._copy}")
            self._admin(f"DROP DATABASE {self._copy}")
        else:
            for suffix in ("-wal", "-shm"):
                Path(name + suffix).unlink(missing_ok=True)
            shutil.copyfile(self._file, name)
        return self._catalogue

    def _admin(self, statement: str) -> None:
        # The password, if there is one, and the socket's folder stand in the URL.
        url = self._url.set(drivername="postgresql", database="postgres")
        with psycopg.connect(
            url.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(statement)  # type: ignore[call-overload]
