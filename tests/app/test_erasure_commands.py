"""`prove-deleted`, `sweep` and `galleries set` on a real data folder."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import update
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.services import running
from app.settings import load_settings
from app.wiring import build_services, open_data
from indexer.access.audit_log import Deed
from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_image
from indexer.errors import IndexerError
from indexer.index.live_index import LiveIndex
from indexer.records import Box
from indexer.storage.object_store import ObjectStore
from indexer.tables import erasures, orphans
from tests.app.conftest import both_databases
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.backups import Backup
from tests.indexer.steps import add, wait_until
from tests.indexer.test_erasure import embed_all


@dataclass
class Data:
    """A data folder with an empty gallery `g`, and the program run on it."""

    folder: Path
    catalogue: Catalogue
    store: ObjectStore

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--data-dir", str(self.folder)])

    def prove(self, image_id: int) -> tuple[int, dict[str, str], list[str]]:
        """Exit code, what each place has, and the places where something is left."""
        result = self.run("prove-deleted", str(image_id), "--json")
        document = json.loads(result.output)
        traces = document["traces"]
        left = [trace["place"] for trace in traces if trace["advice"]]
        assert document["is_gone"] == (left == [])
        return result.exit_code, {trace["place"]: trace["said"] for trace in traces}, left

    def snapshot(self) -> None:
        """Leave an index snapshot, as a service does."""
        index = LiveIndex(self.catalogue, "colour-grid", ColourEncoder.dim, self.folder / "index")
        index.start()
        index.stop()


@pytest.fixture
def data(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setenv("PASSERBY_DATABASE_URL", database_url)
    catalogue = Catalogue(database_url)
    catalogue.create_gallery("g")
    return Data(tmp_path / "data", catalogue, ObjectStore(tmp_path / "data" / "objects"))


@both_databases
def test_prove_deleted_finds_all_there_is_and_nothing_once_it_is_deleted(
    data: Data, pictures: Pictures, encoder: ColourEncoder
) -> None:
    picture = pictures.plain()
    image_id, neighbour = add(data.catalogue, data.store, picture), None
    embed_all(data.catalogue, encoder)
    data.snapshot()
    deed = Deed(who="ops", action="case")
    case = data.catalogue.cases.create("g", "Harbour", "", deed)
    data.catalogue.cases.exhibits.add(case.id, image_id, deed, "it is him")
    code, _, left = data.prove(image_id)
    assert (code, left) == (1, ["row", "vectors", "cases", "changes", "ledger", "snapshots"])

    (snapshot,) = (data.folder / "index").rglob("*.snapshot")
    kept = snapshot.read_bytes()
    sha256 = data.catalogue.image(image_id).sha256
    neighbour = add(data.catalogue, data.store, picture, box=Box(0, 0, 20, 20))
    delete_image(data.catalogue, data.store, image_id)
    code, said, left = data.prove(image_id)
    assert (code, left) == (1, ["snapshots"])
    assert said[f"bytes {sha256[:12]}"].endswith(f"the same bytes: {neighbour}")
    data.snapshot()
    code, said, left = data.prove(image_id)
    assert (code, left) == (0, [])
    assert sha256 in said["ledger"]

    delete_image(data.catalogue, data.store, neighbour)
    snapshot.write_bytes(kept)
    data.store.put(sha256, io.BytesIO(picture))
    code, said, left = data.prove(image_id)
    assert (code, left) == (1, [f"bytes {sha256[:12]}", "snapshots"])
    snapshot.write_bytes(kept[:99])
    assert data.prove(image_id)[2] == left, "who knows what is in a damaged file"
    snapshot.unlink()
    data.store.delete(sha256)
    shown = data.run("prove-deleted", str(image_id))
    assert shown.exit_code == 0
    assert f"Image {image_id} is gone." in shown.output
    assert "LEFT" not in shown.output


def test_prove_deleted_cannot_tell_of_what_no_entry_names(data: Data) -> None:
    code, _, left = data.prove(99)
    assert (code, left) == (1, ["ledger"])


def test_prove_deleted_names_an_entry_that_is_damaged(data: Data, pictures: Pictures) -> None:
    image_id = add(data.catalogue, data.store, pictures.plain())
    delete_image(data.catalogue, data.store, image_id)
    ((name,),) = data.store.entries()
    damaged = f"{name[:-8]}00000000"
    data.store.write_entry(damaged, data.store.read_entry(name)[:50])
    assert data.prove(image_id)[::2] == (1, ["ledger"])
    assert damaged in data.run("prove-deleted", str(image_id)).output
    data.store.remove_entry(damaged)
    assert data.prove(image_id)[0] == 0


@both_databases
def test_start_after_an_older_backup_was_restored_forgets_and_proves_it(
    data: Data, pictures: Pictures, encoder: ColourEncoder, tmp_path: Path
) -> None:
    gone = add(data.catalogue, data.store, pictures.plain())
    embed_all(data.catalogue, encoder)
    backup = Backup(data.catalogue, tmp_path)
    later = add(data.catalogue, data.store, pictures.noise(1))
    for image_id in (gone, later):
        delete_image(data.catalogue, data.store, image_id)
    backup.restore()
    assert data.prove(gone)[0] == 0
    assert data.prove(later)[0] == 0
    again = add(data.catalogue, data.store, pictures.noise(2))
    embed_all(data.catalogue, encoder)
    assert again == later
    code, said, _ = data.prove(later)
    assert code == 0
    assert "another picture's" in said["row"]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_older_state_of_the_database_below_a_running_service_shows_nothing_erased(
    data: Data, pictures: Pictures, encoder: ColourEncoder, tmp_path: Path
) -> None:
    """As after a failover to a standby that lags behind, or a backup restored without a stop."""
    gone, kept = (add(data.catalogue, data.store, pictures.noise(seed)) for seed in range(2))
    embed_all(data.catalogue, encoder)
    backup = Backup(data.catalogue, tmp_path)
    services = build_services(
        load_settings(data_dir=data.folder), with_worker=False, encoder=encoder
    )
    with running(services):
        delete_image(services.catalogue, services.store, gone)
        services.model.live_index.catch_up()
        backup.restore()
        wait_until(lambda: list(services.catalogue.images([gone, kept])) == [kept])
        hits = services.model.live_index.search("g", encoder.encode_text(["red"])[0], 10).hits
        assert [hit.image_id for hit in hits] == [kept]


def test_start_is_refused_while_the_ledger_cannot_be_read(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERBY_STORAGE_URL", "s3://nowhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    with pytest.raises(IndexerError, match="s3://nowhere"):
        open_data(load_settings(data_dir=data.folder))
    for words in (
        ("galleries", "set", "g", "--hold", "case 7"),
        ("keys", "create", "desk", "--scope", "search"),
        ("keys", "revoke", "desk"),
        ("audit", "verify"),
    ):
        assert data.run(*words).exit_code == 0, "what can't wait for it"


def test_start_is_refused_on_empty_storage_while_there_are_pictures(
    data: Data, pictures: Pictures
) -> None:
    """As where its volume is not mounted: pictures would be given up, erasures not known."""
    settings, objects = load_settings(data_dir=data.folder), data.folder / "objects"
    open_data(settings)
    add(data.catalogue, data.store, pictures.plain())
    open_data(settings)
    objects.rename(data.folder / "mounted")
    with pytest.raises(CommandError, match="is empty, but the database has pictures"):
        open_data(settings)
    (objects / "lost").touch()
    open_data(settings)


def test_sweep_notes_strays_then_removes_them_and_check_names_what_is_missing(
    data: Data, pictures: Pictures
) -> None:
    image_id = add(data.catalogue, data.store, pictures.plain())
    stray = hashlib.sha256(b"stray").hexdigest()
    data.store.put(stray, io.BytesIO(b"stray"))
    checked = data.run("sweep", "--check")
    assert (checked.exit_code, "2 files, 1 without an owner" in checked.output) == (0, True)
    assert data.run("sweep").exit_code == 0
    assert data.store.exists(stray)
    with data.catalogue.database.write() as connection:
        now = data.catalogue.database.now(connection)
        connection.execute(update(orphans).values(sweep_at=now))
    assert data.run("sweep").exit_code == 0
    assert not data.store.exists(stray)
    add(data.catalogue, data.store, pictures.noise(1))
    data.store.delete(data.catalogue.image(image_id).sha256)
    checked = data.run("sweep", "--check")
    assert checked.exit_code == 1
    assert f"image {image_id} (a.jpg) in gallery g" in checked.output


def test_galleries_set_changes_what_is_given(data: Data) -> None:
    for options, expected in (
        (["--retention-days", "30"], (30, None, False)),
        (["--hold", "case 7", "--reason-required"], (30, "case 7", True)),
        (["--keep-forever", "--release"], (None, None, True)),
        (["--no-reason-required"], (None, None, False)),
    ):
        result = data.run("galleries", "set", "g", *options)
        assert result.exit_code == 0, result.output
        gallery = data.catalogue.gallery("g")
        found = (gallery.retention_days, gallery.legal_hold, gallery.reason_required)
        assert found == expected
    for wrong in (["--retention-days", "0"], ["--hold", ""], ["--hold", "a", "--release"]):
        assert data.run("galleries", "set", "g", *wrong).exit_code != 0
    assert data.catalogue.gallery("g").legal_hold is None
    with data.catalogue.database.read() as connection:
        assert connection.execute(erasures.select()).all() == []
