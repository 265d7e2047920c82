"""Every setting, from ``STEMSPLITTER_*`` variables or a file, checked when the program starts."""

import ipaddress
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from stemsplitter.credit_packs import parse_packs, smallest_units
from stemsplitter.errors import SettingsError

PREFIX = "STEMSPLITTER_"
FILE_VARIABLE = f"{PREFIX}SETTINGS"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(BaseSettings):
    """The settings of a server. `docs/settings.md` lists them; make one with :func:`load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("stemsplitter"),
        description="Folder of database, files and secret key.",
    )
    database_url: str = Field(
        "", description="sqlite:///FILE or postgresql+psycopg://…; by default a file in data_dir."
    )
    storage_url: str = Field(
        "", description="file:///FOLDER or s3://BUCKET; by default a folder in data_dir."
    )
    storage_addressing: Literal["auto", "path", "host"] = Field(
        "auto", description="Whether the bucket's name is in the path or in the host of the store's URLs."
    )
    storage_public_url: str = Field(
        "",
        description="How clients reach an S3 store, for the URLs to it; by default as the servers do.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    public_url: str = Field(
        "",
        description="How clients reach the server, for the URLs it gives out; by default http://HOST:PORT.",
    )
    secret_key: str = Field(
        "", description="Signs URLs and encrypts secrets; by default made once and kept in data_dir."
    )
    workers: int = Field(1, ge=0, le=64, description="Worker processes of `serve`.")
    threads: int | None = Field(None, ge=1, description="CPU threads of a worker; by default all cores.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps.")
    concurrency: int = Field(1, ge=1, le=64, description="Splits that a worker works at, at once.")
    worker_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models whose splits a worker takes: builtin_6s,htdemucs; by default all that are here.",
    )
    model_6s: str = Field(
        "", description="Model for 6s; by default the first that may be used for anything and is ready."
    )
    model_4s: str = Field("", description="Model for 4s; by default that named for 6s, else likewise.")
    model_2s: str = Field("", description="Model for 2s; by default that named for 4s or 6s, else likewise.")
    allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks that sources and webhooks may be in though they are not public: "
        "10.0.0.0/8,127.0.0.0/8.",
    )
    signup_open: bool = Field(True, description="Whether anybody may make an account.")
    metering: bool = Field(True, description="Whether splits cost credits.")
    free_credits: int = Field(
        600, ge=0, description="Credits, in seconds of audio, that a new account is granted."
    )
    packs: str = Field(
        "50, 150, 500", description="Packs of minutes that can be bought, with prices: 50=5.00, 150=12.00."
    )
    currency: str = Field("usd", description="What the packs' prices are in: an ISO 4217 code.")
    stripe_secret_key: str = Field("", description="Key of Stripe's, with which packs can be bought.")
    stripe_webhook_secret: str = Field(
        "", validate_default=True, description="Signs what Stripe tells of payments: whsec_…"
    )
    stripe_api_base: str = Field(
        "https://api.stripe.com", description="Where Stripe's API is; another one is for tests."
    )
    max_source_bytes: int = Field(500_000_000, ge=1, description="Largest source in bytes.")
    max_source_seconds: int = Field(3600, ge=1, description="Longest source in seconds.")
    max_running_splits: int = Field(2, ge=1, description="Splits of one account that run at once.")
    max_queued_splits: int = Field(100, ge=1, description="Splits of one account that may wait.")
    read_limit: int = Field(600, ge=1, description="Requests a minute that read, of one account.")
    create_limit: int = Field(60, ge=1, description="Requests a minute that create, of one account.")
    max_connections: int = Field(
        1000, ge=10, description="Open connections of one API process; idle ones are closed beyond it."
    )
    header_seconds: float = Field(20, gt=0, description="Seconds in which a request's headers must arrive.")
    body_seconds: float = Field(
        30, gt=0, description="Period in which a request's body must bring 1 kB a second on average."
    )
    signups_per_day: int = Field(
        20, ge=1, description="Accounts that may be created in a day from one address, or one IPv6 /64."
    )
    max_api_keys: int = Field(50, ge=1, description="API keys of one account that are not revoked.")
    retention_days: float = Field(7, gt=0, description="Days until sources and stems are deleted.")
    stem_url_seconds: int = Field(86_400, ge=60, description="Seconds that a stem's URL works.")
    upload_seconds: int = Field(3600, ge=60, description="Seconds that an upload URL works.")
    lease_seconds: float = Field(
        30, ge=1, description="Seconds after which a silent worker's jobs go to another."
    )
    stop_seconds: float = Field(
        8,
        ge=0,
        description="Seconds that a worker told to stop may go on with its split, which then goes to another.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator("allowed_networks", "worker_models", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return value

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch("auto|cpu|mps|cuda(:[0-9]{1,3})?", value):
            raise ValueError("must be auto, cpu, cuda, cuda:0, cuda:1 … or mps")
        return value

    @field_validator("packs")
    @classmethod
    def _packs(cls, value: str) -> str:
        parse_packs(value)
        return value

    @field_validator("currency")
    @classmethod
    def _currency(cls, value: str, info: ValidationInfo) -> str:
        if not re.fullmatch("[A-Za-z]{3}", value):
            raise ValueError("must be a code of three letters, as usd")
        for pack in parse_packs(info.data.get("packs", "")):
            smallest_units(pack.price or 0, value.lower())
        return value.lower()

    @field_validator("stripe_webhook_secret")
    @classmethod
    def _stripe(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("stripe_secret_key") and not value:
            raise ValueError("must be set where STRIPE_SECRET_KEY is: nobody would be told of payments")
        return value

    @field_validator("public_url", "storage_public_url", "stripe_api_base")
    @classmethod
    def _public(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        if file := os.environ.get(FILE_VARIABLE):
            return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file)))
        return (init_settings, env_settings)

    @cached_property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'stemsplitter.db'}"

    @cached_property
    def storage(self) -> str:
        """The object store's URL."""
        return self.storage_url or (self.data_dir / "files").absolute().as_uri()

    @cached_property
    def base_url(self) -> str:
        """How clients reach the server, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"


def load_settings(**overrides: Any) -> Settings:
    """Read and check the settings; ``overrides`` (from the command line) win over variables, those over the file.

    Raises:
        SettingsError: one sentence that names the variable, what is wrong and what is allowed.
    """
    file = os.environ.get(FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{FILE_VARIABLE} names {file}, which is not a file: correct the path.")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}" if first["loc"] else PREFIX
        raise SettingsError(
            f"{name} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}."
        ) from error
    except ValueError as error:  # the file is not TOML
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error
