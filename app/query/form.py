"""The search page's address: what it asks for, what is wrong with it, and addresses near it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode

from pydantic import ValidationError

from app.query.schemas import (
    MAX_CURSOR_CHARS,
    MAX_LIMIT,
    MAX_MARKS,
    MAX_PEOPLE,
    PictureSearch,
    SearchFilters,
    SearchOptions,
    SearchRequest,
)
from app.schemas import MAX_ID, MAX_REASON_CHARS, MAX_TEXT_CHARS, to_line

PAGE_SIZE = 48
PAGE_OF_PEOPLE = 24


@dataclass(frozen=True)
class SearchForm:
    """The fields as they were given. after, before: UTC, as `2026-05-01T14:30`. like: an image id;
    a text takes its place. right, wrong: ids of pictures that were marked.
    by: "person" for people in place of pictures. on: "map" for the page with the map. sent: whether
    a picture was sent to ask with, which no address can carry. problems: a sentence for each field
    that can't be used."""

    gallery: str
    text: str = ""
    like: int | None = None
    cameras: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    after: str = ""
    before: str = ""
    reason: str = ""
    limit: int = PAGE_SIZE
    cursor: str = ""
    right: tuple[int, ...] = ()
    wrong: tuple[int, ...] = ()
    by: str = ""
    on: str = ""
    sent: bool = False
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, Sequence[str]], gallery: str) -> SearchForm:
        """The form that the query `given` (each field's values) fills in for `gallery`."""

        def last(name: str) -> str:
            return (given.get(name) or [""])[-1].strip()

        form = cls(
            gallery=gallery,
            text=" ".join(last("text").split()),
            like=_id_of(last("like")),
            cameras=tuple(dict.fromkeys(filter(None, given.get("camera", [])))),
            tags=tuple(dict.fromkeys(filter(None, given.get("tag", [])))),
            after=last("after"),
            before=last("before"),
            reason=to_line(last("reason"))[:MAX_REASON_CHARS],
            limit=_limit_of(last("limit")),
            cursor=last("cursor")[:MAX_CURSOR_CHARS],
            right=_ids_of(given.get("right", [])),
            wrong=_ids_of(given.get("wrong", [])),
            by="person" if last("by") == "person" else "",
            on="map" if last("on") == "map" else "",
        )
        return replace(form, problems=form._find_problems())

    @classmethod
    def parse(cls, query: str) -> SearchForm | None:
        """The form of a query string; None when it names no gallery."""
        given = parse_qs(query)
        return cls.read(given, given["gallery"][-1]) if "gallery" in given else None

    @property
    def is_query(self) -> bool:
        """Whether it asks for anything."""
        return bool(self.text or self.right or self.sent) or self.like is not None

    @property
    def num_filters(self) -> int:
        """How many filters are set; each camera and each tag is one."""
        return len(self.cameras) + len(self.tags) + bool(self.after) + bool(self.before)

    @property
    def query(self) -> str:
        """Itself as a query string, without empty fields, in the order in which a browser sends
        the form."""
        like = "" if self.text or self.like is None else str(self.like)
        given = [("text", self.text), ("like", like), ("by", self.by), ("gallery", self.gallery)]
        given += [("camera", camera) for camera in self.cameras]
        given += [("tag", tag) for tag in self.tags]
        given += [("after", self.after), ("before", self.before)]
        given += [("right", str(image_id)) for image_id in self.right]
        given += [("wrong", str(image_id)) for image_id in self.wrong]
        given.append(("reason", self.reason))
        if self.limit != PAGE_SIZE:
            given.append(("limit", str(self.limit)))
        given += [("cursor", self.cursor), ("on", self.on)]
        return urlencode([(name, value) for name, value in given if value])

    @property
    def url(self) -> str:
        return f"/{self.on}?{self.query}"

    def with_text(self, text: str) -> str:
        """The address of the same search for another description."""
        return replace(self.unmarked_form, text=text, like=None, limit=PAGE_SIZE).url

    def more_like(self, image_id: int) -> str:
        """The address of the search for pictures like this one, under the same filters."""
        return replace(self.unmarked_form, text="", like=image_id, limit=PAGE_SIZE).url

    def without(self, name: str, value: str = "") -> str:
        """The address without the filter `name`; of cameras and tags, only `value` is taken out."""
        if name in ("cameras", "tags"):
            left = tuple(each for each in getattr(self, name) if each != value)
            emptied = replace(self, cameras=left) if name == "cameras" else replace(self, tags=left)
            return replace(emptied, limit=PAGE_SIZE, cursor="").url
        emptied = {"after": replace(self, after=""), "before": replace(self, before="")}[name]
        return replace(emptied, limit=PAGE_SIZE, cursor="").url

    @property
    def unfiltered(self) -> str:
        bare = replace(self, cameras=(), tags=(), after="", before="")
        return replace(bare, limit=PAGE_SIZE, cursor="").url

    @property
    def unmarked_form(self) -> SearchForm:
        """Without marks, from the best match on."""
        return replace(self, right=(), wrong=(), cursor="")

    @property
    def unmarked(self) -> str:
        """The address without marks."""
        return self.unmarked_form.url

    def marked(self, name: str, image_id: int) -> str:
        """The address after a picture was marked `right` or `wrong`, or not any more if it was."""
        was_marked = image_id in getattr(self, name)
        right, wrong = (
            tuple(each for each in marked if each != image_id)
            for marked in (self.right, self.wrong)
        )
        if not was_marked and name == "right":
            right = (*right, image_id)[-MAX_MARKS:]
        elif not was_marked:
            wrong = (*wrong, image_id)[-MAX_MARKS:]
        return replace(self, right=right, wrong=wrong, cursor="").url

    def grouped(self, by: str) -> str:
        """The address of the same search for people ("person") or for pictures ("")."""
        return replace(self, by=by, limit=PAGE_SIZE, cursor="").url

    @property
    def on_map(self) -> str:
        """The address of this search, from its best match on, on the map."""
        return replace(self, on="map", by="", limit=PAGE_SIZE, cursor="").url

    @property
    def off_map(self) -> str:
        """The address of this search as a page of results."""
        return replace(self, on="").url

    @property
    def num_people(self) -> int:
        """How many people are asked for: half of what would be pictures."""
        return min(max(1, self.limit * PAGE_OF_PEOPLE // PAGE_SIZE), MAX_PEOPLE)

    @property
    def first_page(self) -> str:
        """The address of this search from its best match on."""
        return replace(self, cursor="").url

    def page_at(self, cursor: str) -> str:
        """The address of another page of this search."""
        return replace(self, cursor=cursor).url

    def request(self) -> SearchRequest:
        """What find_people takes. Only for a query without problems."""
        return SearchRequest(
            text=self.text or None,
            image_id=None if self.text else self.like,
            **dict(self._options()),
        )

    def picture_request(self, sha256: str) -> PictureSearch:
        """What find_people takes with a picture that was sent. Only without problems."""
        return PictureSearch(sha256=sha256, **dict(self._options()))

    def _options(self) -> SearchOptions:
        return SearchOptions(
            gallery=self.gallery,
            limit=self.num_people if self.by else self.limit,
            cursor=self.cursor or None,
            group_by="person" if self.by else "none",
            reason=self.reason or None,
            like=list(self.right),
            unlike=list(self.wrong),
            filters=SearchFilters(
                cameras=list(self.cameras),
                tags=list(self.tags),
                after=_time_of(self.after),
                before=_time_of(self.before),
            ),
        )

    def _find_problems(self) -> dict[str, str]:
        problems = {}
        if len(self.text) > MAX_TEXT_CHARS:
            problems["text"] = (
                f"The description has {len(self.text):,} characters; at most {MAX_TEXT_CHARS:,} "
                "can be searched."
            )
        for name, label in (("after", "From"), ("before", "Until")):
            try:
                _time_of(getattr(self, name))
            except ValueError:
                problems[name] = f"{label}: expected a date and a time, e.g. 2026-05-01 14:30."
        if not problems and self.after and self.before:
            after, before = _time_of(self.after), _time_of(self.before)
            if after is not None and before is not None and after >= before:
                problems["before"] = "Until must be later than From."
        if not problems and self.is_query:
            try:
                self.request()
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                said = first["msg"].removeprefix("Value error, ")
                # A text may be nothing but control characters.
                fields = {"text": "Description", "tags": "Tags", "cameras": "Cameras"}
                name = next((each for each in fields if each in first["loc"]), "cameras")
                problems[name] = f"{fields[name]}: {said}."
        return problems


def _time_of(given: str) -> datetime | None:
    """A time of the form, UTC; None when it is empty. Raises ValueError."""
    if not given:
        return None
    moment = datetime.fromisoformat(given)
    if moment.tzinfo is not None:
        raise ValueError("the form's times are UTC and name no zone")
    return moment.replace(tzinfo=UTC)


def _id_of(given: str) -> int | None:
    """An image id, or None; one that can't exist becomes 2^63 - 1, which doesn't."""
    if not given:
        return None
    known = given.isascii() and given.isdigit() and len(given) < 20 and 0 < int(given) < MAX_ID
    return int(given) if known else MAX_ID


def _limit_of(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 6):
        return PAGE_SIZE
    return min(max(int(given), 1), MAX_LIMIT)


def _ids_of(given: Sequence[str]) -> tuple[int, ...]:
    """Image ids without repetition, the latest that may be marked."""
    ids = [image_id for image_id in map(_id_of, given) if image_id is not None]
    return tuple(dict.fromkeys(ids))[-MAX_MARKS:]
