"""Buckets of S3 and compatible stores: endpoint, credentials and signed URLs."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.store import S3Store

from stemsplitter.errors import SettingsError
from stemsplitter.storage.errors import StorageError
from stemsplitter.storage.names import content_disposition

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Credential

LONGEST_LINK_S = 7 * 86_400  # Signature Version 4 allows no more
LARGEST_PUT = 5 << 30  # bytes of one PUT or one copy
# botocore refreshes the credentials of a role when less than 15 minutes are left
_CREDENTIALS_KEPT = timedelta(minutes=10)

# every call has a timeout: a part of 8 MB and a silent store are retried after a minute
_CLIENT: "ClientConfig" = {"connect_timeout": "5s", "read_timeout": "60s", "timeout": "15m"}
_RETRIES: "RetryConfig" = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_QUICK_CLIENT: "ClientConfig" = {"connect_timeout": "3s", "timeout": "5s"}
_QUICK_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}

# it logs the source of credentials at every start, and at level debug the inputs of signatures
logging.getLogger("botocore").setLevel(logging.WARNING)

_CODE = re.compile(r"<Code>(\w+)</Code>")
_REGION_CODES = {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"}
_CREDENTIAL_CODES = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidSecurity",
}  # fmt: skip


class Bucket:
    """A bucket, or a folder in a bucket.

    Args:
        url: ``s3://BUCKET[/PREFIX]``. Endpoint, region and credentials are found like the AWS tools do: in
            ``AWS_…`` variables, in a profile, or from the role of the machine, container or service account.
        addressing: ``host`` (``https://BUCKET.HOST/KEY``), ``path`` (``https://HOST/BUCKET/KEY``), or ``auto``: host on
            AWS, path elsewhere.
        public_url: the endpoint for clients, if it differs from the one for the server.

    Raises:
        SettingsError: there are no credentials, or the variables or the profile cannot be used.
    """

    def __init__(self, url: str, addressing: str = "auto", public_url: str = "") -> None:
        parts = urlsplit(url)
        self.name, self.prefix = parts.netloc, parts.path.strip("/")
        # the import takes 0.2 s, and storage in a folder does not need it
        import botocore.session
        from botocore.exceptions import BotoCoreError

        try:
            session = botocore.session.Session()
            self.region = str(
                os.environ.get("AWS_REGION") or session.get_config_variable("region") or "us-east-1"
            )
            credentials = session.get_credentials()
            found = self._client(session, os.environ.get("AWS_ENDPOINT"), addressing)
            endpoint = str(found.meta.endpoint_url)
            self._by_host = _is_by_host(addressing, endpoint, self.name)
            style = "virtual" if self._by_host else "path"
            self._api = self._client(session, endpoint, style)
            self._signer = self._client(session, public_url or endpoint, style)
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(
                f"The S3 store {url} cannot be used ({error}): correct the AWS_ variables or the profile."
            ) from error
        if credentials is None:
            raise SettingsError(
                f"There are no credentials for {url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
                "or give the machine a role."
            )
        self._credentials, self._endpoint = credentials, endpoint

    def open(self, quick: bool = False) -> S3Store:
        """Return a client of the bucket; ``quick`` has short timeouts, for health checks."""
        at = urlsplit(self._endpoint)
        endpoint = (
            at._replace(netloc=f"{self.name}.{at.netloc}").geturl() if self._by_host else self._endpoint
        )
        client = _QUICK_CLIENT if quick else _CLIENT
        return S3Store(
            self.name,
            prefix=self.prefix or None,
            # this name takes precedence over every variable; with virtual-hosted style it includes the bucket
            config={
                "aws_endpoint_url_s3": endpoint.rstrip("/"),
                "region": self.region,
                "virtual_hosted_style_request": self._by_host,
            },
            client_options={**client, "allow_http": at.scheme == "http"},
            retry_config=_QUICK_RETRIES if quick else _RETRIES,
            credential_provider=self._credential,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port of the signed URLs."""
        at = urlsplit(self.get_url("x", "x", "audio/mpeg", 60))
        return f"{at.scheme}://{at.netloc}"

    @property
    def is_temporary(self) -> bool:
        """True if the credentials are those of a role; signed URLs expire with them."""
        return bool(self._frozen().token)

    def get_url(self, key: str, filename: str, mime: str, seconds: float) -> str:
        """Return a signed URL that downloads the file with that name and media type."""
        asked = {
            "ResponseContentDisposition": content_disposition(filename),
            "ResponseContentType": mime,
        }
        return self._signed("get_object", key, seconds, asked)

    def put_url(self, key: str, mime: str, length: int, seconds: float) -> str:
        """Return a signed URL to PUT a file of exactly that media type and length."""
        return self._signed("put_object", key, seconds, {"ContentType": mime, "ContentLength": length})

    def abort_writes(self, before: datetime) -> int:
        """Abort multipart uploads that were initiated before that time; return their number.

        Their parts are not listed as files, but use space.
        """
        given_up = 0
        with self._failures():
            pages = self._api.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.name, Prefix=self._key("")):
                for found in page.get("Uploads", ()):
                    if found["Initiated"] < before:
                        self._api.abort_multipart_upload(
                            Bucket=self.name, Key=found["Key"], UploadId=found["UploadId"]
                        )
                        given_up += 1
        return given_up

    def explain(self, error: Exception, setting: str = "STEMSPLITTER_STORAGE_URL") -> str | None:
        """Return a sentence on what made the store refuse, None if neither ``setting``, which names the bucket, nor
        another setting did."""
        said = str(error)
        code = found[1] if (found := _CODE.search(said)) else ""
        if code == "NoSuchBucket":
            return f"There is no bucket {self.name} at {self._endpoint}: make it, or correct {setting}."
        if code in _REGION_CODES or "incorrectly configured region" in said:
            return (
                f"The bucket {self.name} is in another region than {self.region}: set AWS_REGION to its own."
            )
        if code in _CREDENTIAL_CODES:
            return (
                f"The store refuses the credentials ({code}): correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "the profile or role."
            )
        if code == "RequestTimeTooSkewed":
            return "The clock of this machine is wrong, so the store takes no signature of it: set the clock."
        if "403 Forbidden" in said:
            return f"The credentials may not list the bucket {self.name}: allow what docs/storage.md names."
        return None

    def _client(self, session: Any, endpoint: str | None, style: str) -> Any:
        from botocore.config import Config

        return session.create_client(
            "s3",
            region_name=self.region,
            endpoint_url=endpoint,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": {"host": "virtual"}.get(style, style)},
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 4},
            ),
        )

    def _credential(self) -> "S3Credential":
        frozen = self._frozen()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_KEPT if frozen.token else None,
        }

    def _frozen(self) -> Any:
        with self._failures():
            return self._credentials.get_frozen_credentials()

    def _signed(self, operation: str, key: str, seconds: float, asked: dict[str, Any]) -> str:
        within = max(1, int(min(seconds, LONGEST_LINK_S)))
        named = {"Bucket": self.name, "Key": self._key(key), **asked}
        with self._failures():
            return str(self._signer.generate_presigned_url(operation, named, within))

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StorageError("The file store does not answer: ask the operator to look at it.") from error


def _is_by_host(addressing: str, endpoint: str, bucket: str) -> bool:
    if addressing != "auto":
        return addressing == "host"
    host = urlsplit(endpoint).hostname or ""
    # wildcard certificates do not match a bucket with dots in its name
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn")) and "." not in bucket
