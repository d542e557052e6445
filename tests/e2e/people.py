"""Pictures whose order in a search is known: a person is a coat of one colour."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

COATS = {
    "red": (205, 30, 35),
    "green": (30, 150, 60),
    "blue": (35, 60, 200),
}
CAMERAS = ("north gate", "south gate")


def draw_person(coat: str, place: int = 0) -> bytes:
    """A JPEG of somebody in a coat of this colour; another `place` of its badge (0 to 60), another
    picture."""
    picture = Image.new("RGB", (72, 192), COATS[coat])
    draw = ImageDraw.Draw(picture)
    draw.ellipse((24, 8, 48, 36), fill=(215, 175, 145))
    draw.rectangle((34, 120, 38, 191), fill=(40, 40, 40))
    draw.rectangle((4 + place, 70, 7 + place, 78), fill=(240, 240, 240))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=92)
    return content.getvalue()


def street() -> list[tuple[str, bytes, dict[str, object]]]:
    """Four pictures of each coat; two of them by each camera, a quarter of an hour apart."""
    files: list[tuple[str, bytes, dict[str, object]]] = []
    for hour, coat in enumerate(COATS, start=8):
        for shot in range(4):
            known: dict[str, object] = {
                "camera": CAMERAS[shot % 2],
                "captured_at": f"2026-05-01T{hour:02}:{15 * shot:02}:00Z",
                "tags": [coat],
                "external_id": f"{coat}-{shot}",
            }
            files.append((f"{coat}-{shot}.jpg", draw_person(coat, place=shot), known))
    return files
