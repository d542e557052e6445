"""Spans: what they tell, that they are off by themselves, and what is said where they can't be."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from app.errors import CommandError
from app.main import create_app
from app.monitoring.tracing import Tracing, start_tracing
from app.services import Services
from app.settings import Settings
from app.wiring import build_worker
from tests.app.conftest import URL, Api
from tests.app.files import picture
from tests.conftest import ColourEncoder

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(settings: Settings, services: Services, exporter: InMemorySpanExporter) -> Iterator[Api]:
    """The service with every span kept in memory."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    worker = build_worker(
        settings,
        services.catalogue,
        services.store,
        ColourEncoder(),
        services.model.live_index.nudge,
        tracing.record_batch,
    )
    changed = replace(services, tracing=tracing, worker=worker)
    with TestClient(create_app(settings, changed), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, changed)


def below(spans: tuple[ReadableSpan, ...], parent: ReadableSpan) -> list[ReadableSpan]:
    """The parts of a span, within its time."""
    assert parent.context is not None
    found = [
        s for s in spans if s.parent is not None and s.parent.span_id == parent.context.span_id
    ]
    slack_ns = 2_000_000  # wall clock and stopwatch
    for span in found:
        assert span.start_time and span.end_time and parent.start_time and parent.end_time
        assert parent.start_time - slack_ns <= span.start_time <= span.end_time
        assert span.end_time <= parent.end_time + slack_ns
    return found


def test_search_is_a_span_with_its_stages_below_the_senders(
    traced: Api, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    body = {"gallery": "street", "text": "a marked man"}
    answer = traced.http.post("/search?secret=marked", json=body, headers=headers)
    spans = exporter.get_finished_spans()
    (request,) = [span for span in spans if span.name == "POST /search"]
    assert request.context is not None and request.parent is not None
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == PARENT
    assert request.kind is SpanKind.SERVER
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/search",
        "http.response.status_code": 200,
        "passerby.request_id": answer.headers["x-request-id"],
    }
    assert [span.name for span in below(spans, request)] == ["encode", "index", "rows"]
    assert "marked" not in "".join(span.to_json() for span in spans)


def test_batch_is_a_span_with_its_steps_and_a_failure_an_error(
    traced: Api, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced.fill(("a.jpg", picture("red")))
    spans = exporter.get_finished_spans()
    (batch,) = [span for span in spans if span.name == "batch"]
    assert batch.attributes == {"passerby.rows": 1}
    names = [span.name for span in below(spans, batch)]
    assert names == ["claim", "decode", "encode", "commit"]

    def fail(_: str) -> None:
        raise ValueError("marked")

    monkeypatch.setattr(traced.services.model.query_vectors, "get", fail)
    assert traced.search(text="red").status_code == 500
    spans = exporter.get_finished_spans()
    assert not spans[-1].status.is_ok
    assert "marked" not in spans[-1].to_json()


def test_tracing_is_off_unless_a_collector_is_named(api: Api, exporter: Any) -> None:
    assert start_tracing({})._provider is None
    assert start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": ""})._provider is None
    on = start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert on._provider is not None
    on.close()


def test_collector_without_the_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *how: Any) -> Any:
        if name.startswith("opentelemetry.exporter"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *how)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        CommandError, match=r"^OTEL_EXPORTER_OTLP_ENDPOINT is set.*passerby\[otel\]"
    ):
        start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
