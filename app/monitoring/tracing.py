"""Spans for OpenTelemetry: requests with the stages of a search, a worker's batches with steps.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector; all of OpenTelemetry's own variables
apply. A span tells the route, the status and the request's id, never what was asked.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from app import __version__
from app.errors import CommandError
from indexer.work.pulse import Lap

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FLUSH_S = 2.0

_laps: ContextVar[list[Lap] | None] = ContextVar("laps", default=None)


def collect_laps() -> list[Lap]:
    """A list that gets every lap noted from here on, here and in threads that work for it."""
    laps: list[Lap] = []
    _laps.set(laps)
    return laps


def note_laps(laps: Sequence[Lap]) -> None:
    """These are part of what is done here."""
    kept = _laps.get()
    if kept is not None:
        kept.extend(laps)


class Tracing:
    """Makes spans of what is over already; nothing where it is off."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider

    def record_request(
        self,
        lap: Lap,
        attributes: Mapping[str, str | int],
        headers: Mapping[str, str],
        laps: Sequence[Lap],
    ) -> None:
        """A request, below the span of whoever sent it, and its stages. lap.step: its name."""
        if self._provider is None:
            return
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        sender = TraceContextTextMapPropagator().extract(headers)
        self._record(lap, attributes, laps, sender, is_server=True)

    def record_batch(self, num_rows: int, laps: Sequence[Lap]) -> None:
        """A worker's batch and its steps."""
        if self._provider is None or not laps:
            return
        started_ns = laps[0].started_ns
        seconds = max(_end_ns(lap) for lap in laps) / 1e9 - started_ns / 1e9
        self._record(Lap("batch", started_ns, seconds), {"passerby.rows": num_rows}, laps)

    def close(self) -> None:
        """Send what is left, if the collector takes it within seconds."""
        if self._provider is not None:
            thread = threading.Thread(target=self._provider.shutdown, daemon=True)
            thread.start()
            thread.join(_FLUSH_S)

    def _record(
        self,
        lap: Lap,
        attributes: Mapping[str, str | int],
        laps: Sequence[Lap],
        sender: Context | None = None,
        *,
        is_server: bool = False,
    ) -> None:
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        assert self._provider is not None
        tracer = self._provider.get_tracer("passerby", __version__)
        kind = SpanKind.SERVER if is_server else SpanKind.INTERNAL
        whole = tracer.start_span(
            lap.step, sender, kind, dict(attributes), start_time=lap.started_ns
        )
        inside = set_span_in_context(whole)
        for part in laps:
            span = tracer.start_span(part.step, inside, start_time=part.started_ns)
            span.end(_end_ns(part))
        if int(attributes.get("http.response.status_code", 0)) >= 500:
            whole.set_status(StatusCode.ERROR)
        whole.end(_end_ns(lap))


def start_tracing(environment: Mapping[str, str] = os.environ) -> Tracing:
    """As the environment says. Raises CommandError where OpenTelemetry is wanted, not installed."""
    endpoint = next((name for name in ENDPOINTS if environment.get(name)), None)
    if endpoint is None:
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise CommandError(
            f"{endpoint} is set, but OpenTelemetry is not installed: pip install 'passerby[otel]', "
            f"or unset it ({error})"
        ) from error
    about: dict[str, Any] = {"service.version": __version__}
    if not environment.get("OTEL_SERVICE_NAME"):
        about["service.name"] = "passerby"
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _end_ns(lap: Lap) -> int:
    return lap.started_ns + int(1e9 * lap.seconds)
