"""Small datasets in the real formats, made in a folder."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

WORDS = ["a man in a red coat", "he carries a grey backpack", "a woman with a white bag"]


def save_picture(path: Path, shade: int = 0, size: tuple[int, int] = (8, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade % 256, 90, 200)).save(path)


def make_entries(field: str, splits: list[str], num_captions: int = 2) -> list[dict[str, Any]]:
    """Two pictures for each person; `splits` has a person's split each."""
    return [
        {
            "split": split,
            "captions": [f"{WORDS[c]} number {person}-{shot}" for c in range(num_captions)],
            field: f"cam{shot}/{person:04d}_{shot}.jpg",
            "processed_tokens": [["a", "man"]] * num_captions,
            "id": person,
        }
        for person, split in enumerate(splits, start=1)
        for shot in range(2)
    ]


def write_published(
    folder: Path, file: str, entries: Any, field: str = "file_path", *, pictures: bool = True
) -> Path:
    """An annotation file as it is published, and its pictures. Returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "imgs").mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(entries))
    for shade, entry in enumerate(entries if pictures else ()):
        save_picture(folder / "imgs" / entry[field], shade)
    return folder / file


def make_cuhk(root: Path) -> list[dict[str, Any]]:
    entries = make_entries("file_path", ["train", "train", "val", "test"])
    write_published(root / "CUHK-PEDES", "reid_raw.json", entries)
    return entries


def make_icfg(root: Path, num_train: int = 3) -> list[dict[str, Any]]:
    entries = make_entries("file_path", ["train"] * num_train + ["test"], num_captions=1)
    write_published(root / "ICFG-PEDES", "ICFG-PEDES.json", entries)
    return entries


def make_rstp(root: Path) -> list[dict[str, Any]]:
    entries = make_entries("img_path", ["train", "train", "val", "test"])
    for entry in entries:
        entry["img_path"] = Path(entry["img_path"]).name
        del entry["processed_tokens"]
    write_published(root / "RSTPReid", "data_captions.json", entries, "img_path")
    return entries


def make_folder(folder: Path, text: str, name: str = "captions.csv") -> Path:
    """A folder with this annotation text, and the pictures a.jpg, b.jpg, c.jpg. Returns it."""
    for shade, picture in enumerate("abc"):
        save_picture(folder / f"{picture}.jpg", shade)
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder
