"""Which pictures may lack a model's vector, as ranges of image ids, so that nobody ever has to look
through all vectors to find out. All of it is part of the caller's write, under CHANGES_LOCK."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from sqlalchemy import (
    Connection,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from indexer.database.transactions import Database
from indexer.models.tables import kept_models, model_chunks
from indexer.tables import UtcDateTime, images

CHUNK_IDS = 1_000  # minutes of work on a CPU, and a table of 100,000 rows for 100 million pictures

# Not a parameter: a prepared plan could not use the index of open ranges then.
is_open = model_chunks.c.state != literal_column("'done'")


def cover_all(database: Database, connection: Connection, model: str) -> None:
    """Every searchable picture may lack its vector."""
    searchable = images.c.state == "searchable"
    bounds = select(func.min(images.c.id), func.max(images.c.id)).where(searchable)
    first, last = connection.execute(bounds).one()
    if first is not None:
        connection.execute(
            insert(model_chunks).from_select(
                ["model", "first_id", "last_id", "state", "claimable_at"],
                _ranges(database, connection, model, first, last),
            )
        )


def _ranges(
    database: Database, connection: Connection, model: str, first: int, last: int
) -> Select[tuple[object, ...]]:
    steps = select(literal(first).label("first_id")).cte("steps", recursive=True)
    following = steps.c.first_id + CHUNK_IDS
    steps = steps.union_all(select(following).where(following <= last))
    end = steps.c.first_id + CHUNK_IDS - 1
    now = literal(database.now(connection), UtcDateTime())
    return select(
        literal(model),
        steps.c.first_id,
        case((end > last, last), else_=end),
        literal("waiting"),
        now,
    )


def cover_stragglers(
    database: Database, connection: Connection, model: str, image_ids: Iterable[int]
) -> None:
    """These searchable pictures lack its vector. image_ids: ascending."""
    for _, near in groupby(image_ids, lambda image_id: image_id // CHUNK_IDS):
        some = list(near)
        _cover(database, connection, model, some[0], some[-1])


def _cover(database: Database, connection: Connection, model: str, first: int, last: int) -> None:
    """A range that nobody works on is made longer: a row for each picture would be many."""
    columns = model_chunks.c
    is_free = is_open & columns.lease_token.is_(None)
    is_near = and_(columns.first_id <= first, columns.first_id > last - CHUNK_IDS)
    newest = (
        select(columns.id)
        .where(columns.model == model, is_free, is_near)
        .order_by(columns.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    end = case((columns.last_id > last, columns.last_id), else_=last)
    longer = update(model_chunks).where(columns.id == newest, is_free).values(last_id=end)
    if not connection.execute(longer).rowcount:
        now = database.now(connection)
        row = {"model": model, "first_id": first, "last_id": last, "claimable_at": now}
        connection.execute(insert(model_chunks).values(row | {"state": "waiting"}))


def is_covered(connection: Connection, model: str) -> bool:
    """Whether no range of it is open: every searchable picture has its vector, or can't get one."""
    first = select(model_chunks.c.id).where(model_chunks.c.model == model, is_open).limit(1)
    return connection.scalar(first) is None


def open_ids(connection: Connection) -> Mapping[str, int]:
    """By model, how many ids in its open ranges are not dealt with. Ids without a picture count."""
    columns = model_chunks.c
    length = columns.last_id - columns.first_id + 1 - columns.num_embedded - columns.num_failed
    number = func.sum(case((length > 0, length), else_=0)).label("number")
    sums = select(columns.model, number).where(is_open).group_by(columns.model)
    found = {row.model: int(row.number) for row in connection.execute(sums)}
    kept = connection.scalars(
        select(kept_models.c.fingerprint).where(kept_models.c.dropped_at.is_(None))
    )
    return {model: found.get(model, 0) for model in kept}
