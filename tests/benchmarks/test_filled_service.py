"""What a benchmark's service is given: its own data, whole, and nothing of who runs it."""

from pathlib import Path

import pytest

from benchmarks.performance import filled_service, service
from model.card import find_checkpoint


def test_service_is_given_no_setting_that_is_at_home_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PASSERBY_DATABASE_URL", "postgresql://at-work/passerby")
    monkeypatch.setenv("passerby_storage_url", "s3://at-work")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    given = service.environment(tmp_path, tmp_path / "model")
    ours = {name: value for name, value in given.items() if "passerby" in name.lower()}
    assert ours == {
        "PASSERBY_DATA_DIR": str(tmp_path),
        "PASSERBY_MODEL": str(tmp_path / "model"),
        "PASSERBY_PORT": "0",
    }
    assert given["SOMETHING_ELSE"] == "kept"


def test_folder_that_was_not_filled_to_the_end_is_filled_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkpoint = find_checkpoint("small")
    assert checkpoint is not None

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(filled_service, "_put", stop)
        with pytest.raises(KeyboardInterrupt):
            filled_service.fill(tmp_path, checkpoint, 20)
    folder = filled_service.fill(tmp_path, checkpoint, 20)
    assert (folder / "objects" / "mark").exists()
