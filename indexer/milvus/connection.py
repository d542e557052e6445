"""A Milvus, by its client: a cluster at an address, or Milvus Lite in a file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from indexer.errors import IndexUnavailable

if TYPE_CHECKING:
    from pymilvus import MilvusClient

T = TypeVar("T")

TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 10.0  # less than a lease is long
_NOT_FOUND = 100  # its code where there is no such collection
_NOT_LOADED = 101


class CollectionMissing(IndexUnavailable):
    """Milvus has no collection of this name."""


class CollectionNotLoaded(IndexUnavailable):
    """Milvus has it, and won't search it before it is loaded."""


class MilvusConnection:
    """Opens nothing before it is asked something, and anew after it failed."""

    def __init__(self, uri: str, token: str | None) -> None:
        """uri: http(s)://HOST:PORT or that and /DATABASE, or a file of Milvus Lite."""
        self.place = uri.rpartition("@")[2]  # without a password
        self._uri = uri
        self._token = token
        self._lock = threading.Lock()
        self._client: MilvusClient | None = None
        self._is_lite = False

    @property
    def is_lite(self) -> bool:
        """Whether it is Milvus Lite, as far as it has been asked."""
        return self._is_lite

    def ask(self, call: Callable[[MilvusClient], T]) -> T:
        """What the client says. Raises IndexUnavailable, CollectionMissing."""
        with self._translated():
            return call(self._open())

    def reach(self) -> None:
        """Open it, if it is not. Raises IndexUnavailable."""
        self.ask(lambda _: None)

    def close(self) -> None:
        """The next call opens it again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _check(self) -> None:
        """Whether this Milvus will do. Raises IndexUnavailable."""

    def _open(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                client = open_client(self._uri, self._token)
                self._is_lite = "lite" in client.get_server_version(timeout=TIMEOUT_S)
                self._check()
                self._client = client
            return self._client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import grpc
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            said = str(getattr(error, "message", None) or error).partition("\n")[0]
            where = f"Milvus at {self.place}: {said[:300]}"
            code = getattr(error, "code", None)
            if code == _NOT_FOUND:
                raise CollectionMissing(where) from error
            if code == _NOT_LOADED:
                raise CollectionNotLoaded(where) from error
            with self._lock:  # it may be a server's that is no more
                self._client = None
            raise IndexUnavailable(where) from error


def import_client() -> None:
    """It takes seconds. Its own log of what fails is left out: what fails here is raised."""
    import pymilvus  # noqa: F401

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)


def open_client(uri: str, token: str | None) -> MilvusClient:
    """Connected."""
    import_client()
    from pymilvus import MilvusClient

    return MilvusClient(uri, token=token or "", timeout=TIMEOUT_S)
