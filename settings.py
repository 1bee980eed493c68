"""Settings: environment variables with the prefix LARDER_, or the same names in `.env`."""

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).parent
VAR = ROOT / "var"
MIN_SECRET_LENGTH = 32

# What `?name=value` behind a PostgreSQL address may say: where the socket is, and whether to encrypt.
_POSTGRESQL_OPTIONS = {"host", "ssl"}
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_S3_OPTIONS = {"endpoint", "region", "public"}
_BUSES = {"memory", "postgres", "postgresql", "postgresql+asyncpg", "redis", "rediss"}


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class TaskEngine(StrEnum):
    AUTO = "auto"
    EMBEDDED = "embedded"
    DISTRIBUTED = "distributed"


class Registration(StrEnum):
    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over. `console`: nowhere, it is printed."""

    scheme: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    sender: str

    @classmethod
    def parse(cls, url: str) -> "MailServer":
        """From `smtp://user:password@host:port?from=larder@example.org`; `smtps` is TLS from the first byte on."""
        parts = urlsplit(url)
        sender = parse_qs(parts.query).get("from", [""])[0]
        if parts.scheme == "console":
            return cls("console", "", 0, "", "", sender or "larder@localhost")
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or "@" not in sender or not sender.isprintable():
            raise ValueError("use smtp://user:password@host:port?from=larder@example.org, smtps://… or console://")
        port = parts.port or (465 if parts.scheme == "smtps" else 587 if parts.username else 25)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.scheme, parts.hostname, port, username, password, sender)


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """Where files are kept: `file` in a folder, `s3` in a bucket, `memory` for tests.

    `public`: where browsers reach the bucket with signed links; empty where they do not, and files go through us. None:
    at the endpoint, if that is https.
    """

    scheme: str
    path: Path = Path()
    bucket: str = ""
    prefix: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    endpoint: str = ""
    region: str = ""
    public: str | None = None

    @classmethod
    def parse(cls, url: str) -> "StorageAddress":
        """From `file:///path`, `s3://key:secret@bucket/prefix?endpoint=https://…&region=…&public=https://…`, `memory://`.

        What an S3 address leaves out is in the variables every S3 program reads (`AWS_ACCESS_KEY_ID` and so on).
        """
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return cls("memory")
        if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1:
            return cls("file", path=Path(unquote(parts.path)))
        if parts.scheme != "s3" or not parts.hostname:
            raise ValueError("use file:///path, s3://key:secret@bucket/prefix?endpoint=https://…&region=… or memory://")
        options = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if unknown := options.keys() - _S3_OPTIONS:
            raise ValueError(f"there is no option {', '.join(sorted(unknown))}; use {', '.join(sorted(_S3_OPTIONS))}")
        if {"", ".", ".."} & set(parts.path.strip("/").split("/")) and parts.path.strip("/"):
            raise ValueError("the prefix leads down and nowhere else, as in s3://bucket/larder/files")
        if bool(parts.username) != bool(parts.password):
            raise ValueError("name the key and its secret, as in s3://key:secret@bucket, or neither")
        for name in ("endpoint", "public"):
            given = urlsplit(options.get(name, ""))
            if options.get(name) and (given.scheme not in {"http", "https"} or not given.hostname):
                raise ValueError(f"{name} is an address, as in https://s3.example.org")
        return cls(
            "s3",
            bucket=parts.netloc.rpartition("@")[2],  # as it is written: names of buckets are not names of hosts
            prefix=unquote(parts.path).strip("/"),
            access_key=unquote(parts.username or ""),
            secret_key=unquote(parts.password or ""),
            endpoint=options.get("endpoint", "").rstrip("/"),
            region=options.get("region", ""),
            public=options["public"].rstrip("/") if "public" in options else None,
        )

    def is_same_place(self, other: "StorageAddress") -> bool:
        """Whoever opens it, and however browsers reach it."""
        mine, theirs = ((each.scheme, each.path, each.bucket, each.prefix, each.endpoint) for each in (self, other))
        return mine == theirs

    def __str__(self) -> str:
        """Without what is secret."""
        if self.scheme == "file":
            return self.path.as_uri()
        return "/".join(part for part in (f"{self.scheme}://{self.bucket}", self.prefix) if part)


class Settings(BaseSettings):
    """Everything an operator can set. `docs/operations.md` explains each."""

    model_config = SettingsConfigDict(
        env_prefix="LARDER_", env_file=ROOT / ".env", extra="ignore", hide_input_in_errors=True
    )

    environment: Environment = Environment.DEVELOPMENT
    database_url: str = f"sqlite+aiosqlite:///{VAR / 'larder.db'}"
    secret_key: SecretStr = SecretStr("")
    bus_url: str = ""
    tasks: TaskEngine = TaskEngine.AUTO
    task_concurrency: int = Field(default=4, ge=1, le=100)
    task_lease: float = Field(default=45, ge=1, le=3600)
    task_grace: float = Field(default=8, ge=0, le=600)
    storage_url: SecretStr = SecretStr((VAR / "files").as_uri())
    upload_limit_mb: int = Field(default=32, ge=1, le=1024)
    household_quota_mb: int = Field(default=1024, ge=1)
    mail_url: SecretStr = SecretStr("console://")
    vapid_private_key: SecretStr | None = None
    outbound_allow: str = ""
    base_url: HttpUrl | None = None
    registration: Registration = Registration.OPEN
    require_verified: bool = False
    openid_issuer: HttpUrl | None = None
    openid_client_id: str = ""
    openid_client_secret: SecretStr = SecretStr("")
    openid_name: str = "OpenID"
    audit_days: int = Field(default=0, ge=0, le=36500)
    guard_enabled: bool = True
    guard_allow: str = "127.0.0.0/8, ::1"
    guard_general: int = Field(default=1200, ge=10)
    guard_sign_ins: int = Field(default=10, ge=3)
    guard_ban: int = Field(default=15, ge=0, le=1440)
    monitor_enabled: bool = False
    monitor_sample: float = Field(default=1.0, ge=0, le=1)
    monitor_slow_ms: int = Field(default=500, ge=1)
    monitor_days: int = Field(default=30, ge=1, le=365)
    monitor_rows: int = Field(default=100_000, ge=100)
    api_docs: bool | None = None
    log_level: str = "INFO"
    pool_size: int = Field(default=10, ge=2, le=200)
    trusted_proxies: str = ""
    metrics_token: SecretStr = SecretStr("")
    password_hash_slots: int = Field(default=2, ge=1, le=64)

    @field_validator("database_url")
    @classmethod
    def _use_the_async_driver(cls, value: str) -> str:
        try:
            url = make_url(value)
        except (ArgumentError, ValueError) as error:
            raise ValueError("not a database URL") from error
        driver = _ASYNC_DRIVERS.get(url.drivername, url.drivername)
        if driver not in _ASYNC_DRIVERS.values():
            raise ValueError("use sqlite:///path or postgresql://user:password@host/name")
        url = _sqlite_url(url) if url.get_backend_name() == "sqlite" else _postgresql_url(url)
        return url.set(drivername=driver).render_as_string(hide_password=False)

    @field_validator("bus_url")
    @classmethod
    def _know_the_bus(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in _BUSES:
            raise ValueError("use memory://, postgresql://… or redis://…")
        return value

    @field_validator("storage_url")
    @classmethod
    def _know_the_storage(cls, value: SecretStr) -> SecretStr:
        StorageAddress.parse(value.get_secret_value())
        return value

    @field_validator("mail_url")
    @classmethod
    def _know_the_mail_server(cls, value: SecretStr) -> SecretStr:
        MailServer.parse(value.get_secret_value())
        return value

    @field_validator("guard_allow")
    @classmethod
    def _know_the_networks(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip():
                ip_network(part.strip())
        return value

    @field_validator("audit_days")
    @classmethod
    def _keep_the_audit_log_for_a_month(cls, value: int) -> int:
        if 0 < value < 30:
            raise ValueError("keep it for 30 days at least, or with 0 for ever")
        return value

    @field_validator("log_level")
    @classmethod
    def _know_the_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("use DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @model_validator(mode="after")
    def _have_a_strong_secret(self) -> "Settings":
        if self.environment is Environment.PRODUCTION:
            if len(self.secret_key.get_secret_value()) < MIN_SECRET_LENGTH:
                raise ValueError(
                    f"LARDER_SECRET_KEY must be set to at least {MIN_SECRET_LENGTH} random characters "
                    "in production (python -c 'import secrets; print(secrets.token_urlsafe(48))')"
                )
        elif not self.secret_key.get_secret_value():
            self.secret_key = SecretStr(_development_secret())
        return self

    @model_validator(mode="after")
    def _keep_files_for_good(self) -> "Settings":
        if self.is_production and self.storage.scheme == "memory":
            raise ValueError("LARDER_STORAGE_URL=memory:// forgets every file at the end; use file:///path or s3://…")
        return self

    @model_validator(mode="after")
    def _have_an_engine(self) -> "Settings":
        if self.tasks is TaskEngine.DISTRIBUTED and self.is_sqlite:
            raise ValueError("LARDER_TASKS=distributed needs PostgreSQL; with SQLite the web process does the tasks")
        return self

    @model_validator(mode="after")
    def _have_a_bus(self) -> "Settings":
        self.bus_url = self.bus_url or ("memory://" if self.is_sqlite else self.database_url)
        return self

    @property
    def has_shared_bus(self) -> bool:
        """Whether what one process says is heard in all of them."""
        return urlsplit(self.bus_url).scheme != "memory"

    @property
    def mail(self) -> MailServer:
        return MailServer.parse(self.mail_url.get_secret_value())

    @property
    def storage(self) -> StorageAddress:
        return StorageAddress.parse(self.storage_url.get_secret_value())

    @property
    def home(self) -> str:
        """Where people reach us, in what is sent to them; without a slash at the end."""
        return str(self.base_url or "http://localhost:8000").rstrip("/")

    @property
    def url(self) -> URL:
        return make_url(self.database_url)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION

    @property
    def has_task_workers(self) -> bool:
        """Whether tasks are done by workers of their own and not in the web process."""
        if self.tasks is TaskEngine.AUTO:
            return self.is_production and not self.is_sqlite
        return self.tasks is TaskEngine.DISTRIBUTED

    @property
    def shows_api_docs(self) -> bool:
        return not self.is_production if self.api_docs is None else self.api_docs


def _sqlite_url(url: URL) -> URL:
    if url.database in {None, "", ":memory:"}:
        raise ValueError("name a file, as in sqlite:///path: several connections share the database")
    return url


def _postgresql_url(url: URL) -> URL:
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError(f"{url.port} is not a port")
    # Hosts hand out addresses with the name that psql has for it.
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    if unknown := query.keys() - _POSTGRESQL_OPTIONS:
        raise ValueError(f"there is no option {', '.join(sorted(unknown))}; use host or sslmode")
    return url.set(query=query)


def _development_secret() -> str:
    """The secret of this working copy: made once, kept in `var/`, readable by its owner only."""
    path = VAR / "secret_key"
    if not path.exists():
        VAR.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text()


@lru_cache
def get_settings() -> Settings:
    return Settings()
