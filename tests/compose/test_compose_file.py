"""The Compose file and the Dockerfile, as far as they can be judged without running them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app import __version__
from app.settings import Settings
from tests.compose.compose_file import Mount, Service, read_compose_file
from tests.compose.images import ROOT

FILE = ROOT / "docker-compose.yml"
SERVICES = read_compose_file(ROOT, {})
OURS = [service for service in SERVICES.values() if service.image.startswith("passerby:")]


def run_tool(name: str, *words: str | Path) -> None:
    command = [Path(sys.executable).parent / name, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_file_is_as_the_specification_has_it() -> None:
    run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE)


def test_dockerfile_passes_its_linter() -> None:
    run_tool("hadolint", ROOT / "docker/Dockerfile")


def test_secrets_are_made_once_for_their_owner_to_change(tmp_path: Path) -> None:
    """Root may write anything; who else follows the page may not, unless the mode lets them."""
    folder = tmp_path / "secrets"
    script = ["sh", ROOT / "docker/make-secrets.sh", folder]
    subprocess.run(script, check=True, capture_output=True)
    made = {file.name: file.read_text() for file in folder.iterdir()}
    subprocess.run(script, check=True, capture_output=True)
    assert {file.name: file.read_text() for file in folder.iterdir()} == made
    assert set(made) == {Path(one.source).name for one in _secrets()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}


def _secrets() -> list[Mount]:
    mounts = (mount for service in SERVICES.values() for mount in service.mounts)
    return [mount for mount in mounts if mount.target.startswith("/run/secrets/")]


def test_each_image_is_built_once() -> None:
    """`docker compose build` builds services at the same time: two that export one name fail."""
    services = yaml.safe_load(FILE.read_text())["services"]
    built = [SERVICES[name].image for name, said in services.items() if "build" in said]
    assert sorted(built) == sorted({service.image for service in OURS})
    assert {services[service.name]["pull_policy"] for service in OURS} == {"missing"}


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_container_can_do_little(service: Service) -> None:
    """Milvus' image is not known to run on a read-only root: its services keep the rest."""
    assert service.cap_drop == ("ALL",)
    assert service.cap_add == (("NET_BIND_SERVICE",) if service.name == "proxy" else ())
    assert "no-new-privileges:true" in service.security_opt
    assert service.read_only or service.name == "milvus"
    assert not any("docker.sock" in mount.source for mount in service.mounts)


def test_every_container_has_limits_a_log_that_ends_and_a_version() -> None:
    document = yaml.safe_load(FILE.read_text())
    for name, said in document["services"].items():
        assert said["mem_limit"], name
        assert said["pids_limit"], name
        assert said["logging"]["options"]["max-size"], name
        assert re.search(r":v?\d+\.\d+", SERVICES[name].image), said["image"]
        assert said["restart"] == ("no" if name in ("migrate", "fetch") else "unless-stopped")


def test_ours_are_nobody_and_check_the_schema_alone() -> None:
    assert {service.name for service in OURS} == {"migrate", "api", "worker", "worker-gpu", "fetch"}
    for service in OURS:
        assert service.user == "10001:10001"
        assert service.environment["PASSERBY_UPGRADE_SCHEMA"] == "false"
        for name in service.environment:
            if name.startswith("PASSERBY_"):
                assert name.removeprefix("PASSERBY_").lower() in Settings.model_fields, name
        assert service.health is not None or service.restart == "no"


def test_one_port_is_published_and_on_loopback() -> None:
    published = {name: service.ports for name, service in SERVICES.items() if service.ports}
    assert {name: ports[0][0] for name, ports in published.items()} == {
        "api": "127.0.0.1",
        "grafana": "127.0.0.1",
        "proxy": "0.0.0.0",
    }
    without_profile = [name for name in published if not SERVICES[name].profiles]
    assert without_profile == ["api"]
    inside = yaml.safe_load(FILE.read_text())["services"]["postgres"]["networks"]
    assert inside == ["inside"]


def test_only_migrate_sees_the_admin_key() -> None:
    secret = "/run/secrets/passerby_admin_key"
    seeing = [
        name for name, one in SERVICES.items() if secret in {mount.target for mount in one.mounts}
    ]
    assert seeing == ["migrate"]
    for service in SERVICES.values():
        assert not any(
            "password" in value for value in service.environment.values() if "/" not in value
        )


def test_files_that_are_mounted_are_here() -> None:
    for service in SERVICES.values():
        for mount in service.mounts:
            if not mount.is_volume and "secrets" not in mount.source:
                assert Path(mount.source).exists(), mount.source


def test_variables_of_the_example_are_known_and_every_default_is_written() -> None:
    text = FILE.read_text()
    used = set(re.findall(r"\$\{(\w+)", text))
    assert not re.findall(r"\$\{\w+\}", text)
    for name in re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M):
        is_setting = name.removeprefix("PASSERBY_").lower() in Settings.model_fields
        assert is_setting or name in used or name == "COMPOSE_PROFILES", name


def test_dockerfile_and_compose_file_name_this_version() -> None:
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    assert f'image.version="{__version__}"' in dockerfile
    for service in OURS:
        assert service.image in (f"passerby:{__version__}", f"passerby:{__version__}-gpu")


def test_dockerfile_takes_nothing_but_what_the_program_is_made_of() -> None:
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M)
        for word in line.split()[:-1]
    }
    let_through = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.M)
    assert copied == set(let_through)


def test_variables_of_the_environment_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(FILE.read_text())
    (tmp_path / ".env").write_text(
        "PUBLISH=127.0.0.1:8100\nPASSERBY_MODEL=/models/mine\nWORKERS=3\n"
    )
    services = read_compose_file(tmp_path, {"WORKERS": "0"})
    assert services["api"].ports == (("127.0.0.1", 8100, 8000),)
    assert services["api"].environment["PASSERBY_MODEL"] == "/models/mine"
    assert services["worker"].scale == 0
