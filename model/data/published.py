"""CUHK-PEDES, ICFG-PEDES and RSTPReid: one JSON list each, an entry a picture."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.data.annotations import (
    SPLITS,
    Annotations,
    Entry,
    MalformedEntry,
    field,
    find_repeats,
    find_shared_identities,
    parse_caption,
    parse_path,
    parse_split,
    read_text,
    show,
)
from model.errors import DatasetError

PICTURES = "imgs"


@dataclass(frozen=True)
class Counts:
    """How much of everything a split has."""

    pictures: int
    captions: int
    identities: int


@dataclass(frozen=True)
class Layout:
    """Where a published dataset's files are, what their fields are called, how many there are."""

    folder: str
    """Its folder in the root."""
    files: tuple[str, ...]
    """Names that its annotation file goes by."""
    picture_field: str
    """The field with the picture's path below imgs/."""
    counts: Mapping[str, Counts]
    """Of the published dataset, by split."""
    known_repeats: int = 0
    """Pictures that the published file itself describes twice; each entry counts as a picture,
    as it does in the field's programs."""


LAYOUTS = {
    "cuhk-pedes": Layout(
        "CUHK-PEDES",
        ("reid_raw.json",),
        "file_path",
        {
            "train": Counts(34_054, 68_108, 11_003),
            "val": Counts(3_078, 6_158, 1_000),
            "test": Counts(3_074, 6_156, 1_000),
        },
    ),
    "icfg-pedes": Layout(
        "ICFG-PEDES",
        ("ICFG-PEDES.json", "ICFG_PEDES.json"),
        "file_path",
        {"train": Counts(34_674, 34_674, 3_102), "test": Counts(19_848, 19_848, 1_000)},
        known_repeats=1,
    ),
    "rstpreid": Layout(
        "RSTPReid",
        ("data_captions.json",),
        "img_path",
        {
            "train": Counts(18_505, 37_010, 3_701),
            "val": Counts(1_000, 2_000, 200),
            "test": Counts(1_000, 2_000, 200),
        },
    ),
}


def read_published(layout: Layout, root: Path) -> Annotations:
    """The dataset's entries and what is wrong with them.

    Raises DatasetError where there is nothing to read: no folder, no annotation file, no JSON
    list, no folder of pictures.
    """
    file = _find_file(layout, root)
    pictures = file.parent / PICTURES
    if not pictures.is_dir():
        raise DatasetError(f"{pictures}: no such folder, expected the pictures of {file}")
    entries, problems = [], []
    for number, raw in enumerate(_read_list(file)):
        try:
            entries.append(_read_entry(raw, layout, pictures, f"{file}[{number}]"))
        except MalformedEntry as error:
            problems.append(f"{file}[{number}]: {error}")
    repeats = list(find_repeats(entries))
    if len(repeats) > layout.known_repeats:
        problems += repeats
    problems += find_shared_identities(entries)
    return Annotations(file, tuple(entries), tuple(problems))


def compare_counts(name: str, entries: tuple[Entry, ...]) -> Iterator[str]:
    """Where a published dataset differs from what was published, a line for each split."""
    for split in SPLITS if name in LAYOUTS else ():
        mine = [entry for entry in entries if entry.split == split]
        got = Counts(
            len(mine),
            sum(len(entry.captions) for entry in mine),
            len({entry.identity for entry in mine}),
        )
        published = LAYOUTS[name].counts.get(split, Counts(0, 0, 0))
        if got != published:
            yield f"{name} {split}: got {_tell(got)}; the published dataset has {_tell(published)}"


def _tell(counts: Counts) -> str:
    return (
        f"{counts.pictures:,} pictures, {counts.captions:,} captions, "
        f"{counts.identities:,} identities"
    )


def _find_file(layout: Layout, root: Path) -> Path:
    folder = root / layout.folder
    expected = f"{' or '.join(layout.files)} and {PICTURES}/"
    if not folder.is_dir():
        hint = f" (name the folder above it: {root.parent})" if root.name == layout.folder else ""
        raise DatasetError(f"{folder}: no such folder, expected {expected} in it{hint}")
    for name in layout.files:
        if (folder / name).is_file():
            return folder / name
    names = sorted(path.name for path in folder.iterdir())
    got = show(", ".join(names)) if names else "nothing"
    raise DatasetError(f"{folder}: expected {expected} in it, got {got}")


def _read_list(file: Path) -> list[object]:
    try:
        read = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file}: expected a JSON list, got: {error}") from error
    if not isinstance(read, list) or not read:
        raise DatasetError(f"{file}: expected a list of entries, got {show(read)}")
    return read


def _read_entry(raw: object, layout: Layout, pictures: Path, place: str) -> Entry:
    if not isinstance(raw, dict):
        raise MalformedEntry(f"expected an object, got {show(raw)}")
    return Entry(
        place,
        f"{pictures}/{_parse_path_below(field(raw, layout.picture_field), layout.picture_field)}",
        _parse_captions(field(raw, "captions")),
        _parse_identity(field(raw, "id")),
        parse_split(field(raw, "split")),
    )


def _parse_path_below(value: object, name: str) -> str:
    path = parse_path(value, name)
    if path.startswith(("/", "..")) or path == ".":
        raise MalformedEntry(f"{name}: expected a path below {PICTURES}/, got {show(value)}")
    return path


def _parse_captions(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise MalformedEntry(f"captions: expected a list of captions, got {show(value)}")
    return tuple(parse_caption(caption, f"captions[{i}]") for i, caption in enumerate(value))


def _parse_identity(value: object) -> int:
    """A number of at least 0, or its digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise MalformedEntry(f"id: expected a number from 0, got {show(value)}")
    return value
