"""The API against its own description: no server error, and nothing that it does not describe."""

from __future__ import annotations

from contextlib import suppress

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from indexer.access.key_ring import SCOPES
from tests.app.conftest import Api, both_databases
from tests.app.files import picture

# Not among them: that what fits the schema is accepted. Some rules no schema can tell.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 25  # of each route, half of them valid


@both_databases
def test_whatever_is_sent_is_answered_as_described(api: Api) -> None:
    api.fill(("red.jpg", picture("red")), ("blue.jpg", picture("blue")))
    secret, _ = api.services.catalogue.keys.create("contract", SCOPES)
    own = {"host": "127.0.0.1", "authorization": f"Bearer {secret}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", api.http.app, headers=own)
    asked: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def send(case: Case) -> None:
                case.call_and_validate(headers=own, checks=CHECKS)
                asked.add(case.operation.label)

            with suppress(Unsatisfiable):  # a route without fields has none that are wrong
                send()
    assert {"POST /search", "DELETE /images/{image_id}", "POST /keys"} <= asked
