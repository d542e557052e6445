"""A whole dataset looked through: every entry, every picture's header, every caption's length."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from model.config import SyntheticConfig
from model.data.annotations import SPLITS, Annotations, Entry, find_missing_pictures
from model.data.datasets import load_dataset, read_annotations
from model.data.picture_files import THREADS, decode_picture, explain, read_size
from model.data.published import compare_counts
from model.data.records import OnProgress, Split
from model.errors import DatasetError
from model.tokens import count_tokens

CONTEXT = 77
"""Most tokens of a caption that CLIP's text tower reads."""


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    low: int
    median: float
    high: int


@dataclass(frozen=True)
class SplitReport:
    """What a split holds. The spreads are None where it holds nothing to measure."""

    split: str
    pictures: int
    captions: int
    pairs: int
    """Captions whose picture can be read."""
    identities: int
    """Known ones."""
    tokens: Spread | None
    """Of a caption, start and end token included."""
    truncated: int
    """Captions of more than CONTEXT tokens."""
    width_px: Spread | None
    height_px: Spread | None
    missing: int
    corrupt: int


@dataclass(frozen=True)
class DatasetReport:
    """What a dataset holds and what is wrong with it."""

    dataset: str
    splits: tuple[SplitReport, ...]
    problems: tuple[str, ...]
    """A line each; none in a sound dataset."""
    warnings: tuple[str, ...]
    """Where it is not quite the published one."""

    def to_plain(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def check_dataset(
    name: str,
    root: Path,
    *,
    decode: bool = False,
    synthetic: SyntheticConfig = SyntheticConfig(),  # noqa: B008 - frozen
    image_size: tuple[int, int] = (128, 48),
    on_progress: OnProgress = lambda done, total: None,
) -> DatasetReport:
    """Look through a dataset; whatever is wrong becomes a problem in the report.

    decode: decode each picture too, which finds the ones that are cut short.
    synthetic, image_size: of drawn people, as load_dataset takes them.
    """
    try:
        if name.partition(":")[0] == "synthetic":
            dataset = load_dataset(
                name, root, image_size, synthetic=synthetic, on_progress=on_progress
            )
            splits = zip(SPLITS, (dataset.train, dataset.val, dataset.test), strict=True)
            return DatasetReport(name, tuple(_report_drawn(*item) for item in splits), (), ())
        annotations = read_annotations(name, root)
    except DatasetError as error:
        return DatasetReport(name, (), (str(error),), ())
    return _look_through(name, annotations, decode, on_progress)


@dataclass(frozen=True)
class _Seen:
    """What was found of an entry."""

    entry: Entry
    tokens: tuple[int, ...]
    size_px: tuple[int, int] | None
    """Width and height; None where the picture can't be read."""
    problem: str
    is_missing: bool


def _look_through(
    name: str, annotations: Annotations, decode: bool, on_progress: OnProgress
) -> DatasetReport:
    entries = annotations.entries
    missing = {entry.place: problem for entry, problem in find_missing_pictures(entries)}

    def read(entry: Entry) -> tuple[tuple[int, int] | None, str]:
        if entry.place in missing:
            return None, missing[entry.place]
        return _read_picture(entry, decode)

    seen = []
    with ThreadPoolExecutor(THREADS) as pool:
        for entry, (size_px, problem) in zip(entries, pool.map(read, entries), strict=True):
            tokens = tuple(count_tokens(caption) for caption in entry.captions)
            seen.append(_Seen(entry, tokens, size_px, problem, entry.place in missing))
            on_progress(len(seen), len(entries))
    by_split = {split: [one for one in seen if one.entry.split == split] for split in SPLITS}
    return DatasetReport(
        name,
        tuple(_report_files(split, some) for split, some in by_split.items() if some),
        (*annotations.problems, *(one.problem for one in seen if one.problem)),
        tuple(compare_counts(name, entries)),
    )


def _read_picture(entry: Entry, decode: bool) -> tuple[tuple[int, int] | None, str]:
    """A picture's width and height, or None and why it can't be read."""
    try:
        size_px = read_size(entry.picture)
        if decode:
            decode_picture(entry.picture, (1, 1))
    except Exception as error:  # Pillow's plugins raise nearly anything for a damaged file
        return None, f"{entry.place}: picture {entry.picture}: {explain(error)}"
    return size_px, ""


def _report_files(split: str, seen: Sequence[_Seen]) -> SplitReport:
    sizes_px = [one.size_px for one in seen if one.size_px]
    tokens = [num for one in seen for num in one.tokens]
    return SplitReport(
        split,
        pictures=len(seen),
        captions=len(tokens),
        pairs=sum(len(one.tokens) for one in seen if one.size_px),
        identities=len({one.entry.identity for one in seen if one.entry.identity >= 0}),
        tokens=_spread(tokens),
        truncated=sum(num > CONTEXT for num in tokens),
        width_px=_spread([width for width, _ in sizes_px]),
        height_px=_spread([height for _, height in sizes_px]),
        missing=sum(one.is_missing for one in seen),
        corrupt=sum(bool(one.problem) and not one.is_missing for one in seen),
    )


def _report_drawn(name: str, split: Split) -> SplitReport:
    tokens = [count_tokens(caption) for caption in split.captions]
    _, _, height_px, width_px = split.pictures.load([0]).shape
    return SplitReport(
        name,
        pictures=len(split.pictures),
        captions=len(tokens),
        pairs=len(tokens),
        identities=len(set(split.identity_of_picture_P.tolist())),
        tokens=_spread(tokens),
        truncated=sum(num > CONTEXT for num in tokens),
        width_px=_spread([width_px]),
        height_px=_spread([height_px]),
        missing=0,
        corrupt=0,
    )


def _spread(numbers: Sequence[int]) -> Spread | None:
    return Spread(min(numbers), median(numbers), max(numbers)) if numbers else None
