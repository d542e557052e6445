"""A gallery of this machine, for `passerby ingest`: by the same `accept` as uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from app.commands.progress import embed_pending, look_through
from app.errors import CommandError
from app.ingest.folder import Failure, FolderPicture, Outcome
from app.ingest.uploads import picture_limits, shown_name
from app.schemas import GalleryCounts
from app.settings import Settings
from app.views import show_gallery
from app.wiring import build_frame_worker, build_worker, load_served, open_data
from indexer.errors import IndexerError
from indexer.ingest import Rows, accept
from indexer.records import Accepted, Duplicate, Refused


class GalleryHere:
    """In the database and storage that the settings name."""

    def __init__(self, settings: Settings, gallery: str) -> None:
        """Raises CommandError, IndexerError."""
        self._settings = settings
        self._gallery = gallery
        self._catalogue, self._store = open_data(settings)
        self._rows: Rows = self._catalogue.holdings

    def take(
        self,
        folder: Path,
        pictures: Iterable[FolderPicture],
        on_outcome: Callable[[Outcome], object],
    ) -> None:
        for picture in pictures:
            try:
                on_outcome(self._take_one(folder, picture))
            except IndexerError as error:
                raise CommandError(str(error)) from error

    def _take_one(self, folder: Path, picture: FolderPicture) -> Outcome:
        file, name = picture.file, shown_name(picture.file)
        limits = picture_limits(self._settings)
        try:
            with (folder / file).open("rb") as opened:
                outcome = accept(
                    self._catalogue,
                    self._store,
                    self._gallery,
                    opened,
                    name,
                    picture.metadata,
                    limits,
                    rows=self._rows,
                )
        except OSError as error:
            return Outcome(file, "refused", "unreadable_file", f"can't be read: {error.strerror}")
        match outcome:
            case Accepted():
                return Outcome(file, "accepted")
            case Duplicate():
                return Outcome(file, "duplicate")
            case Refused(code, detail):
                return Outcome(file, "refused", code, detail)

    def embed(self) -> None:
        if self.counts().pending:
            encoder = load_served(self._settings, self._catalogue)
            worker = build_worker(self._settings, self._catalogue, self._store, encoder)
            embed_pending(self._catalogue, worker, self._gallery)

    def counts(self) -> GalleryCounts:
        return show_gallery(self._catalogue.gallery(self._gallery)).counts

    def failures(self, limit: int) -> Sequence[Failure]:
        failed = self._catalogue.list_images(self._gallery, "failed", limit=limit)
        return [Failure(image.file_name, image.id, image.reason) for image in failed]


class FramesHere(GalleryHere):
    """The same gallery, for whole frames: the people in them are found before they are embedded."""

    def __init__(self, settings: Settings, gallery: str) -> None:
        if settings.detector is None:
            raise CommandError("--frames needs a detector: set PASSERBY_DETECTOR, to small for one")
        super().__init__(settings, gallery)
        self._rows = self._catalogue.frames

    def embed(self) -> None:
        frames = self._catalogue.frames
        if frames.counts(self._gallery).pending:
            worker = build_frame_worker(self._settings, self._catalogue, self._store, lambda: None)
            assert worker is not None
            look_through(frames, worker, self._gallery)
        super().embed()
