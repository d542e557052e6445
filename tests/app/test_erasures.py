"""Proof of deletion over HTTP: the same as on the machine itself, for admins of it all."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.main import create_app
from app.services import Services
from app.settings import Settings
from tests.app.conftest import Api, assert_problem, both_databases
from tests.app.files import picture
from tests.app.serving import served


@both_databases
def test_proof_tells_what_is_left_and_that_nothing_is(api: Api) -> None:
    (image_id,) = api.fill(("red.jpg", picture("red")))
    proof = api.http.get(f"/erasures/{image_id}").json()
    assert proof["is_gone"] is False
    left = [trace["place"] for trace in proof["traces"] if trace["advice"]]
    assert left[:3] == ["row", "vectors", "changes"]
    api.http.delete(f"/images/{image_id}")
    proof = api.http.get(f"/erasures/{image_id}").json()
    left = [trace["place"] for trace in proof["traces"] if trace["advice"]]
    # What the running service still reads is left for a minute, and told.
    assert set(left) <= {"snapshots", "SQLite's log"}
    said = {trace["place"]: trace["said"] for trace in proof["traces"]}
    assert said["row"] == "gone" and said["ledger"].startswith("erased 20")
    looked = [row.deed for row in api.services.catalogue.audit.rows()][-1]
    assert (looked.action, looked.what, looked.image_ids) == ("view", "what is left", (image_id,))
    for odd in ("0", "x", str(2**63)):
        assert_problem(api.http.get(f"/erasures/{odd}"), 422, "validation_failed")


def test_command_proves_it_on_a_server(
    settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(create_app(settings, services), settings) as (host, port):
        monkeypatch.setenv("PASSERBY_SERVER", f"http://{host}:{port}")
        told = CliRunner().invoke(app, ["prove-deleted", "99", "--json"])
        assert told.exit_code == 1
        assert json.loads(told.output)["traces"][0] == {
            "place": "row",
            "said": "gone",
            "advice": None,
        }
        assert "LEFT ledger" in CliRunner().invoke(app, ["prove-deleted", "99"]).output
