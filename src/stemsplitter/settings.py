"""Settings, from ``STEMSPLITTER_*`` variables or a file, validated when a process starts."""

import ipaddress
import os
import re
import tomllib
from email.utils import parseaddr
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
from stemsplitter.spelling import nearest

PREFIX = "STEMSPLITTER_"
FILE_VARIABLE = f"{PREFIX}SETTINGS"
# variables of the command, and of clients in the manual and the examples
_OTHER_VARIABLES = tuple(
    f"{PREFIX}{name}"
    for name in ("SETTINGS", "CACHE_DIR", "OFFLINE", "MODEL_MIRROR", "LOG", "URL", "KEY", "WEBHOOK_SECRET")
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(BaseSettings):
    """The settings of a server, read by :func:`load_settings`. `docs/settings.md` lists them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("stemsplitter"),
        description="Folder of the database, files and secret key.",
    )
    database_url: str = Field(
        "", description="sqlite:///FILE or postgresql://…; by default a file in data_dir."
    )
    storage_url: str = Field(
        "", description="file:///FOLDER or s3://BUCKET; by default a folder in data_dir."
    )
    storage_addressing: Literal["auto", "path", "host"] = Field(
        "auto", description="Position of the bucket name in S3 URLs: path or host."
    )
    storage_public_url: str = Field(
        "",
        description="Address of the S3 store for clients, if it differs from the endpoint.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    public_url: str = Field(
        "",
        description="Public URL of the server, for links; by default http://HOST:PORT.",
    )
    secret_key: str = Field(
        "", description="Signs URLs and encrypts secrets; by default generated once in data_dir."
    )
    workers: int = Field(1, ge=0, le=64, description="Worker processes of `serve`.")
    threads: int | None = Field(None, ge=1, description="CPU threads of a worker; by default all cores.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps.")
    concurrency: int = Field(1, ge=1, le=64, description="Concurrent splits of each worker.")
    worker_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models whose splits a worker claims: builtin_6s,htdemucs; by default all installed.",
    )
    model_6s: str = Field(
        "", description="Model for 6s; by default the first installed one with an unrestricted license."
    )
    model_4s: str = Field("", description="Model for 4s; by default that of 6s, if set, else as for 6s.")
    model_2s: str = Field(
        "", description="Model for 2s; by default that of 4s or 6s, if set, else as for 6s."
    )
    allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Private networks that sources and webhooks may use: 10.0.0.0/8,127.0.0.0/8.",
    )
    links: Annotated[tuple[Literal["youtube", "soundcloud"], ...], NoDecode] = Field(
        (), description="Sites whose links may be sources: youtube,soundcloud. Needs the extra links."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call the API in browsers: https://shop.example.com; or *."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further host names of the pages, besides that of public_url: stems.local,nas."
    )
    operator_name: str = Field("", description="Person or company that runs the server, for the legal pages.")
    contact: str = Field(
        "", description="Email address or URL of the operator, for the legal pages and security.txt."
    )
    blog_dir: Path | None = Field(None, description="Folder of the blog's posts: Markdown with front matter.")
    smtp_url: str = Field(
        "",
        validate_default=True,
        description="SMTP server for mail: smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://…:465.",
    )
    mail_from: str = Field(
        "", validate_default=True, description="Sender of mail: Stems <stems@example.com>."
    )
    signup_open: bool = Field(True, description="Whether anybody may create an account.")
    metering: bool = Field(True, description="Whether splits cost credits.")
    free_credits: int = Field(
        600, ge=0, description="Credits, in seconds of audio, granted to a new account."
    )
    packs: str = Field(
        "50, 150, 500", description="Credit packs in minutes, with prices: 50=5.00, 150=12.00."
    )
    currency: str = Field("usd", description="Currency of the prices: an ISO 4217 code.")
    stripe_secret_key: str = Field("", description="Stripe key, which enables the sale of packs.")
    stripe_webhook_secret: str = Field(
        "", validate_default=True, description="Secret of the Stripe webhook: whsec_…"
    )
    stripe_api_base: str = Field(
        "https://api.stripe.com", description="Base URL of the Stripe API; changed only in tests."
    )
    max_source_bytes: int = Field(500_000_000, ge=1, description="Maximum size of a source in bytes.")
    max_source_seconds: int = Field(3600, ge=1, description="Maximum duration of a source in seconds.")
    max_running_splits: int = Field(
        2, ge=1, description="Maximum running splits and jobs of the tools of one account."
    )
    max_queued_splits: int = Field(
        100, ge=1, description="Maximum queued splits and jobs of the tools of one account."
    )
    analysis_seconds_per_credit: int = Field(
        10, ge=1, description="Seconds of audio that are analyzed for one credit; splits are analyzed free."
    )
    effect_seconds_per_credit: int = Field(
        1, ge=1, description="Seconds of audio to which an effect is applied for one credit."
    )
    speech_characters_per_credit: int = Field(
        10, ge=1, description="Characters that are spoken for one credit."
    )
    free_turn_every: int = Field(
        5, ge=0, description="One turn of the queue in this many goes to a free account; 0 for none."
    )
    max_sample_rate: int = Field(
        48_000,
        ge=44_100,
        le=192_000,
        description="Maximum sample rate of stems in hertz; a song with a higher one is converted.",
    )
    quota_bytes: int = Field(
        2_000_000_000,
        ge=1,
        description="Maximum bytes of the files of an account that has bought no credits.",
    )
    paid_quota_bytes: int = Field(
        100_000_000_000, ge=1, description="Maximum bytes of the files of an account that has bought credits."
    )
    min_free_bytes: int = Field(
        1_000_000_000,
        ge=0,
        description="Free bytes on the server's disk below which nothing new is stored; 0 for no limit.",
    )
    max_derived_files: int = Field(
        30,
        ge=1,
        description="Mixes, archives and stems in other formats of one split that are kept; a new one replaces the "
        "oldest.",
    )
    max_queued_files: int = Field(
        20, ge=1, description="Maximum mixes, archives and stems in other formats of one account that wait."
    )
    read_limit: int = Field(600, ge=1, description="Read requests per minute and account.")
    create_limit: int = Field(60, ge=1, description="Create requests per minute and account.")
    max_connections: int = Field(1000, ge=10, description="Maximum open connections of one API process.")
    header_seconds: float = Field(20, gt=0, description="Timeout for the headers of a request, in seconds.")
    body_seconds: float = Field(
        30, gt=0, description="Seconds over which a request body must average 1 kB/s."
    )
    signups_per_day: int = Field(
        20, ge=1, description="Accounts created per day from one address or one IPv6 /64."
    )
    visitor_analyses_per_hour: int = Field(
        5,
        ge=0,
        description="Analyses in the key finder without an account, per hour and address; 0 requires an account.",
    )
    max_event_streams: int = Field(
        10, ge=1, description="Event streams of one account that one API process has open."
    )
    max_api_keys: int = Field(50, ge=1, description="Maximum active API keys of one account.")
    retention_days: float = Field(7, gt=0, description="Days until sources and stems are deleted.")
    derived_file_seconds: int = Field(
        3600, ge=60, description="Seconds until a mix, an archive or a stem in another format is deleted."
    )
    stem_url_seconds: int = Field(86_400, ge=60, description="Lifetime of a stem's URL in seconds.")
    upload_seconds: int = Field(3600, ge=60, description="Lifetime of an upload URL in seconds.")
    lease_seconds: float = Field(
        30, ge=1, description="Seconds without a heartbeat after which a worker's splits are requeued."
    )
    stop_seconds: float = Field(
        8,
        ge=0,
        description="Seconds that a stopping worker may continue its splits before it requeues them.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator(
        "allowed_networks", "allowed_hosts", "cors_origins", "links", "worker_models", mode="before"
    )
    @classmethod
    def _list(cls, value: Any) -> Any:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(each == "*" or re.fullmatch(r"https?://[^/?#@\s]+", each) for each in value):
            raise ValueError("must be origins such as https://shop.example.com, without a path, or *")
        return tuple(each.lower() for each in value)

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
            raise ValueError("must be a code of three letters, such as usd")
        for pack in parse_packs(info.data.get("packs", "")):
            smallest_units(pack.price or 0, value.lower())
        return value.lower()

    @field_validator("stripe_webhook_secret")
    @classmethod
    def _stripe(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("stripe_secret_key") and not value:
            raise ValueError("must be set if STRIPE_SECRET_KEY is set, as payments are confirmed by webhook")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: str) -> str:
        if value and not re.fullmatch(r"smtps?://([^/?#@\s]+@)?[^/?#@\s]+", value):
            raise ValueError("must be smtp://USER:PASSWORD@HOST:PORT or smtps://…, without a path")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("smtp_url") and "@" not in parseaddr(value)[1]:
            raise ValueError("must be an email address if SMTP_URL is set")
        return value

    @field_validator("public_url", "storage_public_url", "stripe_api_base")
    @classmethod
    def _public(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
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
        """The URL of the database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'stemsplitter.db'}"

    @cached_property
    def storage(self) -> str:
        """The URL of the file storage."""
        return self.storage_url or (self.data_dir / "files").absolute().as_uri()

    @cached_property
    def base_url(self) -> str:
        """The public URL of the server, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"


def load_settings(**overrides: Any) -> Settings:
    """Read and validate the settings. ``overrides`` (of the command line) override variables, which override the file.

    Raises:
        SettingsError: a setting is invalid or unknown; the message names it and the allowed values or names.
    """
    file = os.environ.get(FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{FILE_VARIABLE} names {file}, which is not a file: correct the path.")
    try:
        _check_names(Path(file) if file else None)
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}" if first["loc"] else PREFIX
        raise SettingsError(
            f"{name} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}."
        ) from error
    except ValueError as error:  # the file is not TOML
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error


def _check_names(file: Path | None) -> None:
    """Refuse unknown variables, and unknown keys of the file."""
    names = list(Settings.model_fields)
    variables = [f"{PREFIX}{name.upper()}" for name in names] + list(_OTHER_VARIABLES)
    for name in sorted(os.environ):
        # settings are read regardless of case
        if name.upper().startswith(PREFIX) and name.upper() not in variables:
            raise SettingsError(_unknown("variable", name, variables))
    for name in tomllib.loads(file.read_text(encoding="utf-8")) if file else ():
        if name not in names:
            raise SettingsError(_unknown(f"key of {file}:", name, names))


def _unknown(kind: str, name: str, known: list[str]) -> str:
    match = nearest(name, known)
    rest = f"did you mean {match}?" if match else "correct or remove it; the manual lists the settings."
    return f"Unknown {kind} {name}: {rest}"
