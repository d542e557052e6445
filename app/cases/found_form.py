"""How a picture was found, on its way from a page of results through the page's links and forms."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from pydantic import ValidationError

from app.cases.schemas import Found
from app.query.form import SearchForm
from app.query.schemas import SearchResponse


def tell_found(
    form: SearchForm, rank: int | None, score: float | None, found: SearchResponse | None
) -> str:
    """A query string, "" for a picture that nobody searched for. The words are in `form.query`."""
    if found is None or rank is None:
        return ""
    told = {
        "rank": rank,
        "score": score,
        "model": found.model,
        "generation": found.generation,
        "verdict": found.verdict.match if found.verdict is not None else None,
        "by": "picture" if form.sent else None,
    }
    return urlencode({name: value for name, value in told.items() if value is not None})


def read_found(search: SearchForm | None, told: str) -> Found | None:
    """What `tell_found` told, with the words of the search; None where nothing was searched for.

    What is no such thing is left out: it came by an address that anybody may write.
    """
    given = {name: values[-1] for name, values in parse_qs(told[:2000]).items()}
    is_picture = given.pop("by", "") == "picture"
    if not is_picture and (search is None or not search.is_query or search.problems):
        return None
    known = {name: value for name, value in given.items() if name in Found.model_fields}
    words: dict[str, object] = {"by": "picture"}
    if search is not None:
        words["is_refined"] = bool(search.right or search.wrong)
        if not is_picture:
            by = "description" if search.text else "likeness"
            words |= {"by": by, "text": search.text or None}
    try:
        return Found.model_validate(known | words)
    except ValidationError:
        return Found.model_validate(words)
