"""Is the service able to do its work right now? Each check does the thing itself."""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.schemas import Readiness
from app.services import Services
from indexer.errors import IndexerError

log = logging.getLogger("passerby")


def check_readiness(services: Services) -> Readiness:
    """Run every check; an answer within the database's timeout whatever is broken."""
    checks = {"database": check_database, "model": check_model, "index": check_index}
    if services.worker is not None:
        checks["worker"] = check_worker
    found = {name: _run(name, check, services) for name, check in checks.items()}
    return Readiness(ready=set(found.values()) == {"ok"}, checks=found)


def _run(name: str, check: Callable[[Services], str], services: Services) -> str:
    try:
        return check(services)
    except Exception as error:
        log.warning("readiness: %s: %s", name, error, exc_info=not isinstance(error, IndexerError))
        return "failing, see the log"


def check_database(services: Services) -> str:
    """Does it answer?"""
    services.catalogue.ping()
    return "ok"


def check_model(services: Services) -> str:
    """Does a forward pass give a vector?"""
    services.query_vectors.encode("a person")
    return "ok"


def check_index(services: Services) -> str:
    """Has the index everything that is committed?"""
    status = services.live_index.status()
    if status.error is not None:
        log.warning("readiness: index: %s", status.error)
        return "can't follow the catalogue, see the log"
    return "ok" if status.in_step else "catching up"


def check_worker(services: Services) -> str:
    """Does its loop turn?"""
    assert services.worker is not None
    status = services.worker.status()
    if status.error is not None:
        log.warning("readiness: worker: %s", status.error)
    return "ok" if status.healthy else "not working, see the log"
