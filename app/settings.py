"""Settings of the service: every one is an environment variable `PASSERBY_<NAME>`, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import setting_checks as checks
from app.errors import CommandError
from app.http.hosts import is_loopback
from app.secret_files import find_secrets, with_password
from indexer.milvus.kind import IndexType

MB = 1024 * 1024


class Settings(BaseSettings):
    """All settings, checked when built. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="PASSERBY_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    # Where things are
    data_dir: Path = Field(
        Path("data"), description="Folder of the embedded database, pictures and index snapshots."
    )
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL, e.g. postgresql://user:password@host/passerby; with standbys "
        "host1:5432,host2:5432 in place of host. Default: a SQLite file in the data folder.",
    )
    database_password: SecretStr | None = Field(
        None,
        description="Password of the user that PASSERBY_DATABASE_URL names, which has none then; "
        "best in a file, see PASSERBY_SECRETS_DIR.",
    )
    upgrade_schema: bool = Field(
        True,
        description="Whether each program upgrades the database as it starts. If not, it asks for "
        "`passerby migrate` where that is needed.",
    )
    storage_url: str | None = Field(
        None,
        description="Where picture bytes are kept: a folder or a bucket, e.g. s3://bucket/prefix, "
        "with endpoint and credentials in AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and AWS_REGION. Default: the folder `objects` in the data folder.",
    )

    # The index in Milvus, docs/milvus.md
    milvus_uri: str | None = Field(
        None,
        description="Milvus, where the vectors are more than memory holds: http(s)://HOST:19530, "
        "with /DATABASE behind it for one of its databases, or a file FOLDER/NAME.db of Milvus "
        "Lite, which one process alone can open. Default: the index is in each process's memory.",
    )
    milvus_token: SecretStr | None = Field(
        None, description="USER:PASSWORD or an API key for Milvus; best in a file."
    )
    milvus_index: IndexType = Field(
        "HNSW",
        description="Milvus' index type. FLAT and GPU_BRUTE_FORCE find all of the best, the others "
        "most of them.",
    )
    milvus_build_params: dict[str, int | float | str | bool] = Field(
        {},
        description="What the index is built with in place of our own choice, as JSON, e.g. "
        '{"M": 48}.',
    )
    milvus_search_params: dict[str, int | float | str | bool] = Field(
        {}, description='The same of searches, e.g. {"ef": 512}.'
    )

    secrets_dir: Path | None = Field(
        None,
        description="Folder with a file for each setting that is secret, named as its variable in "
        "lower case, e.g. passerby_database_password; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
        "AWS_SESSION_TOKEN may be there too. A variable wins over a file, an empty file is none.",
    )

    # The model
    model: str | None = Field(
        None,
        description="The model that ought to be served: `small` (ships with the program), a "
        "checkpoint folder, `ViT-B-16:openai` and the like, `file:PATH`, or "
        "`python:MODULE:FUNCTION`. Default: what the database serves; `small` where it is new.",
    )
    person_cosine: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Mean cosine above which pictures are one person. Default: the model's own.",
    )
    device: str = Field("auto", description="Where the model runs: auto, cpu, cuda, cuda:1, ...")
    num_threads: int = Field(
        1, ge=1, le=256, description="CPU threads the model uses, for texts and pictures each."
    )
    runtime: Literal["auto", "torch", "openvino"] = Field(
        "auto",
        description="What runs the model on a CPU. auto: OpenVINO where it can, see "
        "`passerby doctor`.",
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto",
        description="What the model multiplies in on a CPU. auto: bfloat16 where the CPU has it, "
        "else float32; int8 is for pictures, and changes their vectors a little.",
    )

    # Whole frames
    detector: str | None = Field(
        None,
        description="What finds people in whole frames: `small` (ships with the program), one of "
        "torchvision's detectors as `fasterrcnn_resnet50_fpn_v2`, either with `:PATH` of its "
        "weights, or `python:MODULE:FUNCTION`. Default: none, so frames are refused.",
    )
    detector_min_score: float = Field(
        0.5, ge=0, le=1, description="Least score of a person found in a frame."
    )
    detector_min_side_px: int = Field(
        16, ge=16, description="Least width and height of a person found in a frame, in pixels."
    )

    # The server
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. One that others reach needs access keys, see "
        "`passerby keys`.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    processes: int = Field(
        1,
        ge=1,
        le=256,
        description="How many processes `passerby api` has on its port. Each has the model and the "
        "index in its memory, and the metrics port that is its number, from 0 on, after "
        "PASSERBY_METRICS_PORT.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much goes to the log."
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port that tells /metrics and /readyz of any program, without a key; 0: any "
        "free one. Default: none.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address of that port. Whoever reaches another than loopback's reads the "
        "figures: let it be in a network of its own.",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="How lines of the log are written; json: one object a line."
    )
    log_queries: bool = Field(
        False,
        description="Whether the log may hold what people search for. Others' exceptions are "
        "logged with their messages then, too.",
    )

    # Who may ask
    admin_key: SecretStr | None = Field(
        None,
        description="An access key for everything that `passerby migrate` makes, under the name "
        "`admin`, where nobody has one with this secret yet; best in a file.",
    )
    public_url: str | None = Field(
        None,
        description="Where browsers reach the service behind a proxy, e.g. "
        "https://search.example.org: its pages may change things, and their cookie is secure.",
    )
    host_names: tuple[str, ...] = Field(
        (),
        description='Host names to answer to, as JSON, e.g. ["search.example.org"]. Default: '
        "those of loopback where only this machine reaches it, else all.",
    )
    requests_per_minute: int | None = Field(
        None, ge=1, description="Most requests a minute of a key that has no limit of its own."
    )

    # Limits
    max_file_bytes: int = Field(32 * MB, ge=1024, description="Largest picture file.")
    max_request_bytes: int = Field(1024 * MB, ge=1024, description="Largest upload request.")
    max_archive_bytes: int = Field(
        16 * 1024 * MB, ge=1024, description="Largest archive to import, as it is sent."
    )
    import_max_entries: int = Field(
        200_000, ge=1, le=5_000_000, description="Most entries of one import."
    )
    max_files: int = Field(1000, ge=1, le=10_000, description="Most files in one upload.")
    max_decoded_bytes: int = Field(
        64 * MB, ge=MB, description="Most memory that one picture may take when decoded."
    )
    import_from: tuple[str, ...] = Field(
        (),
        description="Folders of the server, and bucket prefixes, that may be imported from, as "
        'JSON, e.g. ["/srv/crops", "s3://bucket/crops"]. Default: none.',
    )
    query_cache_size: int = Field(
        4096, ge=0, le=1_000_000, description="How many descriptions keep their vector in memory."
    )

    # The worker
    worker_batch_size: int = Field(
        256,
        ge=1,
        le=4096,
        description="Most pictures encoded at a time; fewer where that would take over a second.",
    )
    worker_lease_s: float = Field(
        60.0, gt=0, description="How long a worker may hold a picture before another takes it."
    )
    worker_max_attempts: int = Field(
        3, ge=1, le=100, description="Attempts before a picture is given up as failed."
    )

    _of_database = field_validator("database_url")(checks.require_database)
    _of_empty = field_validator("database_password", "admin_key", mode="before")(checks.drop_empty)
    _of_password = field_validator("database_password")(checks.require_place_for_password)
    _of_key = field_validator("admin_key")(checks.require_hard_to_guess)
    _of_ports = field_validator("metrics_port")(checks.require_port_for_each)
    _of_milvus = field_validator("milvus_uri")(checks.require_milvus)
    _of_origin = field_validator("public_url")(checks.require_origin)

    def of_process(self, place: int) -> Settings:
        """Of one of several processes, the first is 0: each tells its figures on its own port."""
        if not self.metrics_port:
            return self
        return self.model_copy(update={"metrics_port": self.metrics_port + place})

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def needs_keys(self) -> bool:
        """Whether others reach the service: by its address, or by a name that it has elsewhere."""
        return not (self.is_private and all(map(is_loopback, self.names)))

    @property
    def names(self) -> frozenset[str]:
        """The host names that it is given, lower case."""
        public = () if self.public_url is None else (urlsplit(self.public_url).hostname or "",)
        return frozenset(name.lower() for name in (*self.host_names, *public))

    def answers_to(self, host_name: str) -> bool:
        """Whether a request may be under this host name: on loopback, one under another's name
        was sent by a page elsewhere (DNS rebinding)."""
        if host_name.lower() in self.names:
            return True
        return is_loopback(host_name) if self.is_private else not self.host_names

    @property
    def database(self) -> str:
        """The database URL in effect, with its password."""
        if self.database_password is not None:
            return with_password(self.database_url, self.database_password.get_secret_value())
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'passerby.db'}"

    @property
    def storage(self) -> str:
        """The storage URL in effect."""
        return self.storage_url or str(self.data_dir.absolute() / "objects")

    @property
    def model_dir(self) -> Path:
        """Where what was measured of a model is kept."""
        return self.data_dir.absolute() / "models"

    @property
    def index_dir(self) -> Path:
        """Where index snapshots are kept."""
        return self.data_dir.absolute() / "index"


def load_settings(**given: object) -> Settings:
    """Settings from files of secrets, over them the environment, over it those `given` (not None).

    Raises CommandError naming the first setting that is wrong.
    """
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(_secrets_dir=find_secrets(), **values)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        reason = first["msg"].removeprefix("Value error, ")
        raise CommandError(f"PASSERBY_{name}: {reason}") from None
