"""What became of a request: an answer, a problem, or a wait before it is sent again."""

from __future__ import annotations

import random
from typing import TypeVar

import httpx
from pydantic import ValidationError

from app.client.call import Call
from app.schemas import Problem

T = TypeVar("T")
Outcome = httpx.Response | httpx.TransportError

# Busy, restarting, or without its database for a moment: the same request may go well later.
PASSING = frozenset({408, 429, 502, 503, 504})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 60.0


class ClientError(Exception):
    """Nothing came of a request."""


class Unreachable(ClientError):
    """No answer came, however often it was sent."""


class Answered(ClientError):
    """The server said no. problem: why (RFC 9457); decide by `problem.code`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class Patience:
    """How often, and after how long, one request is sent again."""

    def __init__(self, retries: int) -> None:
        self.num_waits = 0
        self._retries = retries

    def wait_s(self, call: Call[T], outcome: Outcome) -> float | None:
        """Seconds until the next try; None where this outcome stands."""
        if isinstance(outcome, httpx.Response) and outcome.status_code not in PASSING - call.fine:
            return None
        if self.num_waits >= self._retries:
            return None
        own_s = FIRST_WAIT_S * 2.0**self.num_waits * random.uniform(0.5, 1.0)
        self.num_waits += 1
        told_s = _told_s(outcome) if isinstance(outcome, httpx.Response) else 0.0
        return min(max(own_s, told_s), LONGEST_WAIT_S)


def conclude(call: Call[T], outcome: Outcome, num_waits: int) -> T:
    """What the call was for. Raises Answered, Unreachable."""
    if isinstance(outcome, httpx.TransportError):
        why = str(outcome) or type(outcome).__name__
        raise Unreachable(f"no answer to {call.method} {call.path}, sent {num_waits + 1}x: {why}")
    done_before = num_waits > 0 and outcome.status_code in call.done_by
    if outcome.is_success or outcome.status_code in call.fine or done_before:
        return call.read(outcome)
    raise Answered(_problem(outcome))


def _told_s(answer: httpx.Response) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0


def _problem(answer: httpx.Response) -> Problem:
    """The answer's own, or one made of it where a proxy answered."""
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        where = answer.headers.get("Location")
        detail = f"moved to {where}" if where else answer.text[:200]
        return Problem(
            type="about:blank",
            title=f"{answer.status_code} {answer.reason_phrase}",
            status=answer.status_code,
            code="not_passerby",
            detail=detail or "no more was said",
            instance=None,
            field=None,
            errors=None,
        )
