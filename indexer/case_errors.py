"""What can go wrong with cases."""

from __future__ import annotations

from indexer.errors import IndexerError


class CaseNotFound(IndexerError):
    """No case has this id."""

    def __init__(self, case_id: int) -> None:
        super().__init__(f"there is no case {case_id}")


class CaseExists(IndexerError):
    """The name is taken, in this gallery."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the gallery has a case named {name!r} already")


class CaseClosed(IndexerError):
    """Nothing in it may be changed."""

    def __init__(self, case_id: int) -> None:
        super().__init__(f"case {case_id} is closed")


class CaseFull(IndexerError):
    """It has as many pictures as a case can have."""

    def __init__(self, case_id: int, most: int) -> None:
        super().__init__(f"case {case_id} has {most:,} exhibits, the most that there can be")


class CaseChanged(IndexerError):
    """Somebody changed it since it was looked at: what they wrote must not go unseen."""

    def __init__(self, what: str, version: int, seen: int | None) -> None:
        super().__init__(f"{what} was changed meanwhile: it is at version {version}, not {seen}")


class ExhibitNotFound(IndexerError):
    """The case has no exhibit of this id."""

    def __init__(self, case_id: int, exhibit_id: int) -> None:
        super().__init__(f"case {case_id} has no exhibit {exhibit_id}")


class ExhibitExists(IndexerError):
    """The picture is in the case already."""

    def __init__(self, case_id: int, image_id: int) -> None:
        super().__init__(f"image {image_id} is in case {case_id} already")


class ExhibitEmpty(IndexerError):
    """Its picture was deleted, so there is nothing to note of it."""

    def __init__(self, exhibit_id: int) -> None:
        super().__init__(f"the picture of exhibit {exhibit_id} was deleted")
