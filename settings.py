"""Settings: environment variables with the prefix LARDER_, or the same names in `.env`."""

import secrets
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

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


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class Registration(StrEnum):
    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


class Settings(BaseSettings):
    """Everything an operator can set. `docs/operations.md` explains each."""

    model_config = SettingsConfigDict(
        env_prefix="LARDER_", env_file=ROOT / ".env", extra="ignore", hide_input_in_errors=True
    )

    environment: Environment = Environment.DEVELOPMENT
    database_url: str = f"sqlite+aiosqlite:///{VAR / 'larder.db'}"
    secret_key: SecretStr = SecretStr("")
    base_url: HttpUrl | None = None
    registration: Registration = Registration.OPEN
    api_docs: bool | None = None
    log_level: str = "INFO"
    pool_size: int = Field(default=10, ge=2, le=200)
    trusted_proxies: str = ""
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
