"""A gallery of a server, for `passerby ingest --server`: what it has already is not sent."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import TypeVar

from app.client import Answered, ClientError, Passerby, Picture
from app.commands.progress import MAX_LISTED, show_found, wait_for
from app.errors import CommandError
from app.frames.schemas import FrameUploadResult
from app.ingest.folder import Failure, FolderPicture, Outcome
from app.ingest.uploads import from_metadata
from app.schemas import GalleryCounts, Problem, UploadResult

T = TypeVar("T")
OnOutcome = Callable[[Outcome], object]
OnResult = Callable[[UploadResult | FrameUploadResult], object]

SENDERS = 4
ASKED_AT_A_TIME = 100  # whether they are there
SENT_AT_A_TIME = 20
_OF_ONE = (413, 422)  # statuses that one picture may be to blame for


class GalleryElsewhere:
    """Several requests at a time; done over, it sends only what is missing."""

    def __init__(self, passerby: Passerby, gallery: str) -> None:
        self._passerby = passerby
        self._gallery = gallery

    def take(self, folder: Path, pictures: Iterable[FolderPicture], on_outcome: OnOutcome) -> None:
        lock, stop = threading.Lock(), threading.Event()

        def tell(outcome: Outcome) -> None:
            with lock:
                on_outcome(outcome)

        with ThreadPoolExecutor(SENDERS) as pool:
            running: set[Future[None]] = set()
            try:
                for some in parts(pictures, ASKED_AT_A_TIME):
                    running.add(pool.submit(self._take_some, folder, some, tell, stop))
                    if len(running) > SENDERS:
                        done, running = wait(running, return_when=FIRST_COMPLETED)
                        check(done)
                check(running)
            except ClientError as error:
                raise CommandError(str(error)) from error
            finally:  # what is on its way arrives, and is told
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _take_some(
        self, folder: Path, pictures: list[FolderPicture], tell: OnOutcome, stop: threading.Event
    ) -> None:
        hashes: dict[FolderPicture, str] = {}
        for picture in pictures:
            try:
                with (folder / picture.file).open("rb") as file:
                    hashes[picture] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                tell(unreadable(picture, error))
        # Of a box that was cut out, only the server can tell.
        whole = [sha256 for picture, sha256 in hashes.items() if picture.metadata.box is None]
        known = self._known(whole)
        missing = []
        for picture, sha256 in hashes.items():
            if picture.metadata.box is None and sha256 in known:
                tell(Outcome(picture.file, "duplicate"))
            else:
                missing.append(picture)
        for some in parts(missing, SENT_AT_A_TIME):
            if stop.is_set():
                return
            self._send(folder, some, tell)

    def _send(self, folder: Path, pictures: list[FolderPicture], tell: OnOutcome) -> None:
        sent = [
            Picture(folder / picture.file, name_of(picture), from_metadata(picture.metadata))
            for picture in pictures
        ]
        waiting = iter(pictures)
        try:
            self._upload(
                sent,
                lambda result: tell(outcome_of(next(waiting), result.status, result.problem)),
            )
        except (OSError, Answered) as error:
            left = list(waiting)
            if isinstance(error, Answered) and error.problem.status not in _OF_ONE:
                raise
            if len(left) > 1:  # find the one
                for picture in left:
                    self._send(folder, [picture], tell)
            elif isinstance(error, Answered):
                tell(outcome_of(left[0], "refused", error.problem))
            else:
                tell(unreadable(left[0], error))

    def _known(self, hashes: list[str]) -> set[str]:
        return self._passerby.known(self._gallery, hashes)

    def _upload(self, pictures: list[Picture], on_result: OnResult) -> None:
        self._passerby.upload(self._gallery, pictures, on_result)

    def embed(self) -> None:
        wait_for("Indexing", lambda: self.counts().pending)

    def counts(self) -> GalleryCounts:
        return self._passerby.gallery(self._gallery).counts

    def failures(self, limit: int) -> Sequence[Failure]:
        failed = islice(self._passerby.images(self._gallery, state="failed"), limit)
        return [Failure(image.file_name, image.id, image.reason) for image in failed]


class FramesElsewhere(GalleryElsewhere):
    """The same gallery, for whole frames: the server finds the people in them."""

    def _known(self, hashes: list[str]) -> set[str]:
        return self._passerby.known_frames(self._gallery, hashes)

    def _upload(self, pictures: list[Picture], on_result: OnResult) -> None:
        self._passerby.upload_frames(self._gallery, pictures, on_result)

    def embed(self) -> None:
        wait_for("Looking", lambda: self._passerby.frame_counts(self._gallery).pending)
        counts = self._passerby.frame_counts(self._gallery)
        failed = self._passerby.frames(self._gallery, state="failed") if counts.failed else ()
        show_found(self._gallery, counts, islice(failed, MAX_LISTED))
        super().embed()


def check(done: Iterable[Future[None]]) -> None:
    """Raises what went wrong in one of them, if anything did."""
    for future in done:
        future.result()


def parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def name_of(picture: FolderPicture) -> str:
    """Its path, in characters that a form can carry."""
    return "".join(char if char.isprintable() else "_" for char in picture.file)


def outcome_of(picture: FolderPicture, status: str, problem: Problem | None) -> Outcome:
    """As the server told it. Raises CommandError where it is the server that can't take more."""
    if problem is None:
        return Outcome(picture.file, "accepted" if status == "accepted" else "duplicate")
    if problem.status >= 500:
        raise CommandError(problem.detail)
    return Outcome(picture.file, "refused", problem.code, problem.detail)


def unreadable(picture: FolderPicture, error: OSError) -> Outcome:
    """Of a file that is not there any more, or not ours."""
    return Outcome(picture.file, "refused", "unreadable_file", f"can't be read: {error.strerror}")
