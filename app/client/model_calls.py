"""Kept models."""

from __future__ import annotations

import httpx

from app.client.call import Call, as_, given, nothing, to_path
from app.models.schemas import ModelKeep, ModelList, ModelSummary

_LOADING_S = 600.0


def models() -> Call[list[ModelSummary]]:
    """Those that are kept, the served one first."""

    def read(answer: httpx.Response) -> list[ModelSummary]:
        return as_(ModelList)(answer).models

    return Call("GET", "/models", read)


def keep_model(name: str) -> Call[ModelSummary]:
    """Every picture is to get its vectors too. The server loads it first.

    Raises pydantic's ValidationError for what the server would refuse.
    """
    body = ModelKeep(name=name).model_dump(mode="json")
    return Call("POST", "/models", as_(ModelSummary), body=body, timeout_s=_LOADING_S)


def serve_model(fingerprint: str, *, force: bool = False) -> Call[ModelSummary]:
    """Searches use it from now on."""
    path = to_path("models", fingerprint, "serve")
    return Call("POST", path, as_(ModelSummary), given(force=force or None))


def roll_back_model(served: str, *, force: bool = False) -> Call[ModelSummary]:
    """Searches use the one before again. served: the one they use now."""
    params = given(served=served, force=force or None)
    return Call("POST", "/models/rollback", as_(ModelSummary), params)


def drop_model(fingerprint: str) -> Call[None]:
    """It is kept no longer, and its vectors go."""
    return Call("DELETE", to_path("models", fingerprint), nothing, done_by=frozenset({404}))
