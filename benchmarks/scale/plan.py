"""From rates and assumptions to bytes, machines, money, hours and limits. N pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.scale.inputs import ASSUMED, BATCH, DIM, MILLION, MILVUS_TYPES, PRICES

DAY_S = 86_400.0
MONTH_H = 730.0
GB = 1e9
_MOST_GB = 64.0  # of an index that every API process holds, or PostgreSQL has in memory
_KEPT_CHANGES = 1_000_000  # indexer/work/housekeeping.py
_WORKER_CORES = 16  # of a machine, with a GPU or without
_WORKER_GB_A_CORE = 4.0


def assumed(name: str) -> float:
    """An assumption's value."""
    return ASSUMED[name].value


@dataclass(frozen=True)
class Takes:
    """What a gallery takes at rest, in GB, and a second."""

    files_gb: float
    database_gb: float
    hash_index_gb: float
    index_gb: float
    milvus_gb: float
    mean_arrivals: float
    peak_arrivals: float
    wal_gb_day: float
    audit_gb_year: float


def size_up(rates: Mapping[str, float], num: int) -> Takes:
    """The database is as work leaves it: versions of rows that vacuum has made free again."""
    mean = num / assumed("kept_days") / DAY_S
    changes = min(num, _KEPT_CHANGES) * rates["change_bytes"]
    rows = num * (rates["grown_bytes"] - rates["change_bytes"])
    milvus = (MILVUS_TYPES["HNSW"][0] + assumed("milvus_field_bytes")) * assumed("milvus_more")
    return Takes(
        files_gb=num * assumed("file_kb") * 1e3 / GB,
        database_gb=(rows + changes) / GB,
        hash_index_gb=num * rates["hash_index_bytes"] / GB,
        index_gb=num / MILLION * rates["index_mb"] * 1e6 / GB,
        milvus_gb=num * milvus / GB,
        mean_arrivals=mean,
        peak_arrivals=mean * assumed("peak"),
        wal_gb_day=num / assumed("kept_days") * rates["wal_bytes"] / GB,
        audit_gb_year=assumed("mean_searches") * 365 * DAY_S * rates["audit_bytes"] / GB,
    )


@dataclass(frozen=True)
class Role:
    """Machines that do one thing. Sizes are of all of them together; disk_gb: of SSD."""

    name: str
    how_many: int
    cores: int
    ram_gb: float
    disk_gb: float = 0.0
    gpus: int = 0

    @property
    def monthly(self) -> float:
        """Dollars."""
        parts = {"core": self.cores, "ram": self.ram_gb, "ssd": self.disk_gb, "gpu": self.gpus}
        return sum(PRICES[name].value * amount for name, amount in parts.items())


def needs_milvus(rates: Mapping[str, float], num: int) -> bool:
    """Whether an index in memory is too large to be in every API process."""
    return size_up(rates, num).index_gb > _MOST_GB


def plan_machines(rates: Mapping[str, float], num: int) -> list[Role]:
    """Which roles there must be, each with room for the busiest hour."""
    takes = size_up(rates, num)
    roles = [_plan_database(takes, num), _plan_api(rates, takes, num), plan_workers(rates, takes)]
    if needs_milvus(rates, num):
        cores = assumed("searches") / assumed("milvus_searches_core") / assumed("busy")
        by_memory = takes.milvus_gb / 8  # machines have 8 GB a core
        ram = takes.milvus_gb * assumed("milvus_copies")
        machines = max(3, math.ceil(ram / 512))
        copies = assumed("milvus_copies")
        roles.append(
            Role("Milvus", machines, _up(max(cores, by_memory * copies)), ram, takes.milvus_gb)
        )
    return roles


def _plan_database(takes: Takes, num: int) -> Role:
    copies = int(assumed("copies"))
    disk = takes.database_gb + takes.audit_gb_year + 7 * takes.wal_gb_day
    ram = max(4.0, takes.hash_index_gb)  # which pictures enter at random places
    cores = 2 if num <= MILLION else _up(max(8.0, ram / 8))
    return Role(
        "PostgreSQL", copies, copies * cores, copies * ram, copies * disk / (1 - assumed("free"))
    )


def _plan_api(rates: Mapping[str, float], takes: Takes, num: int) -> Role:
    in_milvus = needs_milvus(rates, num)
    own_ms = rates["search_cpu_ms"]
    if not in_milvus:
        own_ms += rates["index_ms"] * max(0.0, num / MILLION - 1)
    cores = max(2, _up(assumed("searches") * own_ms / 1000 / assumed("busy")))
    ram = assumed("model_gb") + (0 if in_milvus else takes.index_gb)
    disk = 0.0 if in_milvus else 2 * takes.index_gb
    return Role("API, two processes", 1 if num <= MILLION else 2, cores, 2 * ram, disk)


def plan_workers(rates: Mapping[str, float], takes: Takes) -> Role:
    """What embeds, by cores or by GPUs: the cheaper."""
    cores = _up(takes.peak_arrivals * rates["cpu_picture_ms"] / 1000 / assumed("busy"))
    gpus = _up(takes.peak_arrivals / rates["gpu_carried"] / assumed("busy"))
    beside = gpus * _WORKER_CORES
    return min(
        Role("workers, CPU", _up(cores / _WORKER_CORES), cores, cores * _WORKER_GB_A_CORE),
        Role("workers, a GPU each", gpus, beside, beside * _WORKER_GB_A_CORE, gpus=gpus),
        key=lambda role: role.monthly,
    )


def bucket_monthly(takes: Takes) -> float:
    """Dollars for the files."""
    return takes.files_gb * PRICES["bucket"].value


def embed_hours(rates: Mapping[str, float], num: int, gpus: int, cores: int = 0) -> float:
    """Of a whole gallery, first or anew; no faster than changes are numbered."""
    per_s = gpus * rates["gpu_carried"] + cores * 1000 / rates["cpu_picture_ms"]
    return num / min(per_s, most_commits(rates) * BATCH) / 3600


def most_commits(rates: Mapping[str, float]) -> float:
    """A second, of all workers together: they take turns to number a batch's changes."""
    return 1000 / rates["lock_ms"]


@dataclass(frozen=True)
class Limit:
    """pictures: from how many on; None where it does not depend on that, see `reached`."""

    what: str
    pictures: float | None
    reached: str
    then: str


def find_limits(rates: Mapping[str, float]) -> list[Limit]:
    """What breaks first, by number of pictures; then what depends on something else."""
    limits = sorted(_by_pictures(rates), key=lambda one: one.pictures or 0)
    commits = most_commits(rates)
    workers = commits * BATCH / rates["gpu_carried"]
    wal_mb = commits * BATCH * rates["wal_bytes"] / 1e6
    return [
        *limits,
        Limit(
            "changes are numbered one commit at a time",
            None,
            f"{commits:.0f} commits/s, {commits * BATCH:,.0f} pictures/s of batches of {BATCH}: "
            f"{workers:.0f} H100s; WAL of {wal_mb:.0f} MB/s",
            "PASSERBY_WORKER_BATCH_SIZE=1024: a quarter of the commits for as many pictures",
        ),
    ]


def _by_pictures(rates: Mapping[str, float]) -> Iterator[Limit]:
    per_million = {
        "counts": rates["counts_ms"] / 1000,
        "index": rates["index_ms"] / 1000,
        "start": rates["start_s"],
        "rebuild": rates["read_ms"] / 1000 + rates["rebuild_s"],
        "survey": rates["hashes_ms"] / 1000 + MILLION / 1000 * assumed("list_s"),
    }
    yield Limit(
        "counting a gallery's pictures anew takes a second",
        MILLION / per_million["counts"],
        f"{rates['counts_ms']:.0f} ms a million",
        "nothing: it is kept for 20 times as long as it took (indexer/state_counts.py)",
    )
    yield Limit(
        "the index in memory takes 0.2 s of a core for a search",
        0.2 * MILLION / per_million["index"],
        f"{rates['index_ms']:.1f} ms a million, the same share of cells",
        "Milvus (docs/milvus.md)",
    )
    yield Limit(
        f"the index takes {_MOST_GB:.0f} GB in every API process",
        _MOST_GB * GB / (rates["index_mb"] * 1e6) * MILLION,
        f"{rates['index_mb'] / 1000:.2f} GB a million",
        "Milvus",
    )
    yield Limit(
        f"the two indexes by hash are larger than {_MOST_GB:.0f} GB of memory",
        _MOST_GB * GB / rates["hash_index_bytes"],
        f"{rates['hash_index_bytes']:.0f} bytes a picture, at random places",
        "more memory for PostgreSQL, or SSDs that take two reads for each picture that comes",
    )
    yield Limit(
        "an API process takes a minute to start from its snapshot",
        60 * MILLION / per_million["start"],
        f"{per_million['start']:.1f} s a million",
        "more than one process, started in turn; Milvus",
    )
    yield Limit(
        "an index is an hour in the making where no snapshot is left",
        3600 * MILLION / per_million["rebuild"],
        f"{per_million['rebuild']:.0f} s a million, {rates['read_ms'] / 1000:.0f} of them reading",
        "keep snapshots on a volume; Milvus",
    )
    yield Limit(
        "the daily look for stray bytes takes the whole day",
        DAY_S * MILLION / per_million["survey"],
        f"{per_million['survey']:.0f} s a million, nearly all of it listing a bucket",
        "it goes on beside the work and just takes longer; nothing is lost",
    )


def milvus_gb(kind: str, num: int) -> float:
    """Memory of one copy."""
    fields = assumed("milvus_field_bytes")
    return num * (MILVUS_TYPES[kind][0] + fields) * assumed("milvus_more") / GB


def vectors_gb(num: int) -> float:
    """In float16."""
    return num * 2 * DIM / GB


def _up(number: float) -> int:
    return math.ceil(number - 1e-9)
