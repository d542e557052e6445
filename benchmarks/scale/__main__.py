"""Compute the tables of docs/scale.md, and write them there.

.venv/bin/python -m benchmarks.scale
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.scale import plan
from benchmarks.scale.inputs import (
    ASSUMED,
    MEASURED,
    MILVUS_TYPES,
    PRICES,
    SIZES,
    read_rates,
    read_topic,
)

DOCS = Path(__file__).parents[2] / "docs" / "scale.md"
_PART = re.compile(r"(<!-- (\w+): computed -->\n).*?(<!-- end -->)", re.DOTALL)
Rates = Mapping[str, float]


def main() -> None:
    """Rewrite what stands between markers; the rest is a person's."""
    DOCS.write_text(fill(DOCS.read_text(), read_rates()))


def fill(text: str, rates: Rates) -> str:
    """The document with its tables. Raises KeyError for a marker of no table."""
    return _PART.sub(lambda part: part[1] + TABLES[part[2]](rates) + part[3], text)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _by_size(rows: Mapping[str, Callable[[int], str]]) -> str:
    """A column for each size."""
    return _table(["", *SIZES], ([name, *map(of, SIZES.values())] for name, of in rows.items()))


def _gb(number: float) -> str:
    return f"{number / 1000:,.3g} TB" if number >= 1000 else f"{number:,.3g} GB"


def _hours(number: float) -> str:
    if number < 1:
        return f"{60 * number:.0f} min"
    return f"{number:.1f} h" if number < 48 else f"{number / 24:,.1f} days"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _show_measured(rates: Rates) -> str:
    rows = (
        [one.name, f"{_number(rates[key])} {one.unit}", f"`{one.where.name}`, {one.topic}"]
        for key, one in MEASURED.items()
    )
    return _table(["measured", "value", "where"], rows)


def _show_assumed(_: Rates) -> str:
    rows = ([one.name, f"{_number(one.value)} {one.unit}", one.source] for one in ASSUMED.values())
    return _table(["assumed", "value", "source"], rows)


def _show_prices(_: Rates) -> str:
    rows = ([one.name, f"{one.value:g} {one.unit}", one.source] for one in PRICES.values())
    return _table(["", "price", "source"], rows)


def _show_sizes(rates: Rates) -> str:
    def of(name: str) -> Callable[[int], str]:
        return lambda num: _gb(getattr(plan.size_up(rates, num), name))

    return _by_size(
        {
            "files in the bucket": of("files_gb"),
            "database": of("database_gb"),
            "its log (WAL), a day": of("wal_gb_day"),
            "audit log, a year": of("audit_gb_year"),
            "index in memory, each API process": of("index_gb"),
            "or Milvus' memory, HNSW, one copy": of("milvus_gb"),
            "pictures that come, mean": lambda num: (
                f"{_number(plan.size_up(rates, num).mean_arrivals)} /s"
            ),
            "in the busiest hour": lambda num: (
                f"{_number(plan.size_up(rates, num).peak_arrivals)} /s"
            ),
        }
    )


def _show_machines(rates: Rates) -> str:
    rows = []
    for size, num in SIZES.items():
        roles = plan.plan_machines(rates, num)
        bucket = plan.bucket_monthly(plan.size_up(rates, num))
        for role in roles:
            gpus = f"{role.gpus}" if role.gpus else ""
            disk = _gb(role.disk_gb) if role.disk_gb else ""
            sizes = [f"{role.cores}", _gb(role.ram_gb), disk, gpus, f"{role.monthly:,.0f}"]
            rows.append([size, role.name, f"{role.how_many}", *sizes])
        rows.append([size, "bucket", "", "", "", "", "", f"{bucket:,.0f}"])
        total = bucket + sum(role.monthly for role in roles)
        rows.append([f"**{size}**", "**together**", "", "", "", "", "", f"**{total:,.0f}**"])
    head = ["pictures", "", "machines", "cores", "memory", "SSD", "GPUs", "$ a month"]
    return _table(head, rows)


def _show_embedding(rates: Rates) -> str:
    ways = {
        "16 cores, no GPU": (0, 16),
        "1 H100": (1, 0),
        "4 H100s": (4, 0),
        "16 H100s": (16, 0),
    }
    return _by_size(
        {
            name: lambda num, gpus=gpus, cores=cores: _hours(  # type: ignore[misc]
                plan.embed_hours(rates, num, gpus, cores)
            )
            for name, (gpus, cores) in ways.items()
        }
    )


def _show_milvus(_: Rates) -> str:
    rows = (
        [kind, how, *(_gb(plan.milvus_gb(kind, num)) for num in SIZES.values())]
        for kind, (_, how) in MILVUS_TYPES.items()
    )
    return _table(["index type", "a vector", *SIZES], rows)


def _show_limits(rates: Rates) -> str:
    rows = (
        [
            "at any size" if one.pictures is None else f"{one.pictures / 1e6:,.0f} million",
            one.what,
            one.reached,
            one.then,
        ]
        for one in plan.find_limits(rates)
    )
    return _table(["from", "what breaks", "measured", "what to do then"], rows)


def _show_workers(_: Rates) -> str:
    """Of the simulation, a row for each number of workers."""
    found = read_topic("claims")
    heads = {
        "pictures/s": "pictures, against an encoder's pace alone",
        "claims/s": "claims",
        "claim, p50 ms": "claim, p50",
        "p99 ms": "claim, p99",
        "finish, p50 ms": "finish, p50",
        "p99 ms ": "finish, p99",
        "wait for a number": "of them waiting for the number of a change",
        "for other locks": "of them waiting for other locks",
        "twice or in vain": "pictures encoded twice or in vain",
        "numbers amiss": "change numbers missing or twice",
    }
    suffix = ": claims"
    workers = [name.removesuffix(suffix) for name in found if name.endswith(suffix)]
    rows = (
        [one, *(_number(found[f"{one}: {what}"][0]) for what in heads.values())] for one in workers
    )
    return _table(["", *heads], rows)


def _show_questions(_: Rates) -> str:
    """What is asked again and again, at a million pictures."""
    end = ", 1,000,000 pictures"
    rows = (
        [name.removesuffix(end), f"{_number(value)} {unit}"]
        for name, (value, unit) in read_topic("growth").items()
        if name.endswith(end)
    )
    return _table(["", "at a million"], rows)


TABLES: dict[str, Callable[[Rates], str]] = {
    "measured": _show_measured,
    "assumed": _show_assumed,
    "prices": _show_prices,
    "sizes": _show_sizes,
    "machines": _show_machines,
    "embedding": _show_embedding,
    "milvus": _show_milvus,
    "limits": _show_limits,
    "workers": _show_workers,
    "questions": _show_questions,
}


if __name__ == "__main__":
    main()
