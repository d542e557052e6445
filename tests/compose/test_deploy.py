"""Every command of docs/deploy.md, in its order, and what it is there for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model.card import find_checkpoint
from tests.app.files import COLOURS, picture
from tests.compose.container import Container
from tests.compose.engine import Engine
from tests.compose.network import HOST
from tests.compose.pages import sections

pytestmark = pytest.mark.timeout(900)  # whole programs start and end, many times
PAGE = sections("docs/deploy.md")
NO_AUTHORITY = "CERTIFICATES='tls internal'"  # sees this host


class Reader:
    """Somebody who goes through the page, section by section; `done` are those gone through."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.done: list[str] = []
        self.printed = ""
        self.folder = engine.folder

    def follow(self, section: str, before: str = "") -> str:
        """Run the section's commands as they stand; what they print. before: what the page takes
        as known."""
        self.done.append(section)
        return self.engine.shell(f"{before}\n" + "\n".join(PAGE[section]))

    def ask(self, path: str, *words: str, url: str = "http://127.0.0.1:8000") -> dict:
        """What the API answers to who has the first key."""
        key = (self.folder / "secrets/passerby_admin_key").read_text().strip()
        command = [
            "curl",
            "-sS",
            "--fail",
            "--insecure",
            "--oauth2-bearer",
            key,
            *words,
            url + path,
        ]
        done = self.engine.run(command)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.engine.logs()}"
        return json.loads(done.stdout)

    def search(self, text: str, url: str = "http://127.0.0.1:8000") -> dict:
        body = json.dumps({"gallery": "street", "text": text, "limit": 50})
        return self.ask("/search", "--json", body, url=url)

    def container(self, name: str) -> Container:
        (found,) = [one for one in self.engine.project.containers() if one.name == name]
        return found


def wait_until(reached: Callable[[], bool], timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, reached
        time.sleep(0.1)


@pytest.fixture(scope="module")
def reader(engine: Engine) -> Iterator[Reader]:
    """At the end of "The first gallery": all is up, 12 pictures are searchable."""
    crops = engine.folder / "crops"
    crops.mkdir()
    for number, colour in enumerate([*COLOURS] * 4, 1):
        (crops / f"{number:04}.jpg").write_bytes(picture(colour, number))
    reader = Reader(engine)
    reader.follow("Start")
    reader.printed = reader.follow("The first gallery")
    wait_until(lambda: reader.ask("/galleries/street")["counts"]["searchable"] == 12)
    return reader


def test_main_job_is_done_as_the_page_says(reader: Reader) -> None:
    printed = reader.printed
    assert printed.count('"status":"accepted"') == 2
    assert re.search(r"passerby_[\w-]{43}\n", printed), "the key of the desk"
    found = reader.search("a person in red")["results"]
    assert {hit["file_name"] for hit in found} == {f"{number:04}.jpg" for number in range(1, 13)}
    refused = reader.engine.run(["curl", "-s", "http://127.0.0.1:8000/galleries"])
    assert json.loads(refused.stdout)["code"] == "key_missing"


def test_everything_is_well_and_only_what_should_goes_on(reader: Reader) -> None:
    states = {one.name: one.state for one in reader.engine.project.containers()}
    assert states.pop("migrate-1") == "exited"
    assert states == {"postgres-1": "healthy", "api-1": "healthy", "worker-1": "healthy"}
    said = reader.engine.shell("docker compose logs migrate")
    assert "Upgraded the schema: empty -> " in said
    assert "Made key admin." in said


def test_programs_are_nobody_and_write_nothing_but_volumes(reader: Reader) -> None:
    script = (
        "id -u; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; ls /run/secrets;"
        "for place in / /data /pictures /models /scratch /tmp /opt/passerby /etc /usr /run; do "
        "touch $place/probe 2>/dev/null && echo wrote $place && rm $place/probe; done; true"
    )
    for service in ("api", "worker"):
        said = reader.engine.run(["docker", "compose", "exec", service, "sh", "-c", script]).stdout
        assert said.splitlines()[0] == "10001"
        assert set(re.findall(r"Cap\w+:\s*(\w+)", said)) == {"0" * 16}
        assert "NoNewPrivs:\t1" in said
        assert "admin_key" not in said
        wrote = re.findall(r"wrote (\S+)", said)
        assert wrote == ["/data", "/pictures", "/models", "/scratch", "/tmp"]


def test_database_is_a_user_of_its_own_and_asks_for_its_password(reader: Reader) -> None:
    connect = "import psycopg; psycopg.connect('postgresql://passerby:wrong@postgres/passerby')"
    told = reader.engine.shell(
        "docker compose exec -T postgres id -u\n"
        f'docker compose exec -T api python -c "{connect}" 2>&1 | tail -n 2 || true\n'
        "docker compose exec -T postgres psql -U passerby -tc 'SHOW data_checksums'"
    )
    assert told.splitlines()[0] == "999"
    assert "password authentication failed" in told
    assert told.split()[-1] == "on"


def test_nothing_outside_can_be_reached(reader: Reader) -> None:
    script = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    done = reader.engine.run(["docker", "compose", "exec", "-T", "api", "python", "-c", script])
    assert "Network is unreachable" in done.stderr


@pytest.mark.parametrize("service", ["postgres", "worker"])
def test_killed_service_is_back_and_lost_nothing(reader: Reader, service: str) -> None:
    one = reader.container(f"{service}-1")
    starts = one.starts
    reader.engine.shell(f"docker compose kill -s SIGKILL {service}")
    wait_until(lambda: one.starts == starts + 1 and one.state == "healthy")
    name = f"after-{service}.jpg"
    (reader.folder / name).write_bytes(picture("red", 100 + len(service)))
    wait_until(lambda: reader.container("api-1").state == "healthy")
    before = reader.ask("/galleries/street")["counts"]["searchable"]
    reader.ask("/galleries/street/images", "--form", f"files=@{name}")
    wait_until(lambda: reader.ask("/galleries/street")["counts"]["searchable"] == before + 1)
    found = {hit["file_name"] for hit in reader.search("a person in red")["results"]}
    assert name in found, "what is called searchable is found"


def test_services_without_a_stand_in_are_named(reader: Reader) -> None:
    """What can't be seen here: a GPU, Prometheus' and Grafana's images."""
    for section in ("A GPU", "Monitoring", "A new version"):
        reader.follow(section)


class Bucket:
    """What answers as S3 at http://minio.example.org:9000, with the bucket `pictures`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def do(self, call: str) -> list[str]:
        """Lines that a call of `s3`, a client with the credentials of the page's reader, gives."""
        code = (
            "import boto3, sys; from pathlib import Path; s3 = boto3.client('s3', "
            f"endpoint_url='http://{HOST}:9000', region_name='us-east-1', "
            f"aws_access_key_id='me', aws_secret_access_key='mine')\n{call}"
        )
        done = self._engine.run([sys.executable, "-c", code])
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def take_in(self, folder: Path) -> None:
        """Copy the folder's files into the bucket, as the page says before one moves."""
        self.do(
            f"root = Path({str(folder)!r})\n"
            "for path in filter(Path.is_file, root.rglob('*')):\n"
            "    s3.upload_file(str(path), 'pictures', f'passerby/{path.relative_to(root)}')"
        )

    def keys(self) -> list[str]:
        return self.do(
            "for o in s3.list_objects_v2(Bucket='pictures')['Contents']: print(o['Key'])"
        )


@pytest.fixture
def bucket(reader: Reader) -> Iterator[Bucket]:
    command = [sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", "9000"]
    quiet = subprocess.DEVNULL
    plain = {
        **os.environ,
        "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
    }  # minio.example.org is no bucket
    command = reader.engine.network.on_host(command)
    server = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=plain)
    bucket = Bucket(reader.engine)
    try:
        wait_until(lambda: not reader.engine.run(["curl", "-s", f"{HOST}:9000"]).returncode)
        bucket.do("s3.create_bucket(Bucket='pictures')")
        yield bucket
    finally:
        server.kill()
        server.wait()


def test_settings_proxy_model_bucket_and_milvus(reader: Reader, bucket: Bucket) -> None:
    """Sections that change .env, after each of which one brings it up again: here once for all."""
    up = "docker compose up --detach --wait\n"
    PAGE["Settings"] = [block.removesuffix(up) for block in PAGE["Settings"]]
    reader.follow("Settings")
    reader.follow("For others: HTTPS", f'echo "{NO_AUTHORITY}" >>.env')
    shipped = find_checkpoint("small")
    said = reader.follow(
        "A model of your own", f"mkdir -p runs/full && cp -r {shipped} runs/full/best"
    )
    assert "small (" in said
    reader.follow("Pictures in a bucket", "ACCESS_KEY_ID=me SECRET_ACCESS_KEY=mine")
    started = time.monotonic()
    reader.engine.shell("docker compose stop api worker")
    assert time.monotonic() - started < 25, "they were killed"
    assert {reader.container(f"{name}-1").exit_code for name in ("api", "worker")} == {0}
    bucket.take_in(reader.engine.project.volume("pictures"))
    num_keys = len(bucket.keys())
    reader.follow("Milvus")

    environment = reader.engine.shell("docker compose exec -T api env")
    assert "PASSERBY_MODEL=/models/best" in environment
    assert "AWS_SECRET" not in environment
    assert reader.container("milvus-1").state == "healthy"
    # The proxy, which has no health check, makes its certificate when the others are well.
    at = ["--resolve", "search.example.org:443:127.0.0.1", "--retry", "20", "--retry-all-errors"]
    at += ["--retry-delay", "1"]
    listed = reader.ask("/galleries", *at, url="https://search.example.org")["galleries"]
    assert [gallery["name"] for gallery in listed] == ["street"]
    (reader.folder / "bucket.jpg").write_bytes(picture("green", 999))
    reader.ask("/galleries/street/images", "--form", "files=@bucket.jpg")
    assert len(bucket.keys()) == num_keys + 1
    wait_until(lambda: not reader.ask("/galleries/street")["counts"]["pending"])
    assert "bucket.jpg" in {hit["file_name"] for hit in reader.search("green")["results"]}

    password = "DATABASE_PASSWORD=$(cat secrets/passerby_database_password)"
    assert "already" in reader.follow("Several hosts", password)
    workers = [one for one in reader.engine.project.containers() if one.service.name == "worker"]
    assert [one.state for one in workers] == ["healthy", "healthy"]
    assert "@db.example.org/" in reader.engine.shell("docker compose exec -T api env")
    assert reader.search("green")["results"]


def test_every_command_of_the_page_was_run(reader: Reader) -> None:
    assert set(reader.done) == {name for name, blocks in PAGE.items() if blocks}
