"""Media in an S3-compatible bucket, by presigned URLs. boto3 signs them; Http uploads."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ..base.errors import (
    ApiError,
    AuthRejected,
    InputRejected,
    InvalidInput,
    NotFound,
    SkyportError,
    TransportError,
)
from ..base.install import pip
from ..base.types import MediaFile, Report, no_report
from ..base.words import tr
from ..http.client import Http
from ..http.session import origin_text
from ..media.formats import extension
from ..platforms.media_host import account
from ..settings import keys
from ..settings.settings import Settings

LABEL = "S3"

_MARGIN = 3600.0  # seconds: a queued task needs its media later
_RECHECK_AFTER = 600.0  # seconds: the object may have been deleted since
_TIMEOUT = (10, 60)
_SHA256 = "sha256"  # in the metadata of an object
_SHA256_HEADER = f"x-amz-meta-{_SHA256}"
_CHUNK = 1024 * 1024
_WRONG_REGION_CODES = (
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "PermanentRedirect",
    "SecondLevelDomainForbidden",
    "TemporaryRedirect",
)


class Bucket:
    """A bucket. Object keys are content hashes, so uploads of earlier sessions are reused.

    An object older than the lifetime of its URLs is uploaded again, so a lifecycle rule that
    deletes after twice that time (two days by default) never deletes what a task still needs.
    """

    def __init__(
        self,
        client: Any,
        settings: Settings,
        account_id: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._now = now
        self._bucket = settings.s3_bucket
        self._prefix = settings.s3_prefix
        self._url_seconds = settings.s3_hours * 3600
        self.upload_scope = (
            f"{origin_text(client.meta.endpoint_url)} {self._bucket} {self._prefix} {account_id}"
        )

    def upload(self, file: MediaFile, report: Report = no_report) -> str:
        """A URL of the file, valid for `s3_hours`; uploads only if the bucket lacks the file."""
        key = self.object_key(file)
        if self._has(key, file.size):
            report(file.size, file.size)
        else:
            self._put(key, file, report)
        return self._presign("get_object", Key=key)

    def url_lifetime(self, url: str) -> float:
        """Seconds until the URL should be renewed. Short, as renewing costs no upload."""
        return max(0.0, min(_RECHECK_AFTER, self._url_seconds - _MARGIN))

    def object_key(self, file: MediaFile) -> str:
        """The name of the file in the bucket."""
        return f"{self._prefix}/{file.sha256}.{extension(file.mime)}".lstrip("/")

    def put_named(self, name: str, file: MediaFile) -> None:
        """Upload the file as `name`, unless the bucket has it there. The bucket checks its MD5."""
        key = f"{self._prefix}/{name}".lstrip("/")
        if self._sha256_of(key, file.size) == file.sha256:
            return
        md5 = base64.b64encode(_md5_of(file.path)).decode()
        signed = {"ContentMD5": md5, "Metadata": {_SHA256: file.sha256}}
        self._put(key, file, no_report, signed, {"Content-MD5": md5, _SHA256_HEADER: file.sha256})

    def _sha256_of(self, key: str, size: int) -> str:
        """What the object was said to be when it was put; "" without one, or of another size."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError):
            return ""
        is_whole = found["ContentLength"] == size
        return str(found.get("Metadata", {}).get(_SHA256, "")) if is_whole else ""

    def delete(self, file: MediaFile) -> bool:
        """Delete the file from the bucket; False without permission to."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.delete_object(Bucket=self._bucket, Key=self.object_key(file))
        except (BotoCoreError, ClientError):
            return False
        return True

    def _put(
        self,
        key: str,
        file: MediaFile,
        report: Report,
        signed: Mapping[str, Any] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`headers` are sent as `signed` says them to boto3."""
        # By a presigned URL too: if this one works, so does the one the platform gets.
        url = self._presign("put_object", Key=key, ContentType=file.mime, **signed)
        http = Http(LABEL, origin_text(url), {}, timeout=_TIMEOUT)
        try:
            http.put_file(url, file, {"Content-Type": file.mime, **headers}, report)
        except (ApiError, TransportError) as error:
            error.do = advice(error)
            raise

    def _has(self, key: str, size: int) -> bool:
        """Whether the bucket has the file, recent enough; False without permission to check."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError):
            return False
        age = self._now() - found["LastModified"].timestamp()
        return bool(found["ContentLength"] == size and age < self._url_seconds)

    def _presign(self, call: str, **params: Any) -> str:
        from botocore.exceptions import BotoCoreError

        params = {"Bucket": self._bucket, **params}
        try:
            url = self._client.generate_presigned_url(
                call, params, ExpiresIn=int(self._url_seconds)
            )
            return str(url)
        except BotoCoreError as error:  # keys that boto3 renews itself
            failure = _unusable_settings(error)
        raise failure


def _md5_of(path: Path) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def is_installed() -> bool:
    return find_spec("boto3") is not None


def bucket(settings: Settings) -> Bucket:
    """The bucket in the settings. Raises InvalidInput if something is missing for it."""
    if not settings.s3_bucket:
        raise InvalidInput(
            tr("media_host is s3, but s3_bucket is not set."),
            do=tr("Set s3_bucket (SKYPORT_S3_BUCKET), or another media_host."),
            platform=LABEL,
        )
    if not is_installed():
        raise not_installed()
    return _open(settings)


def not_installed() -> InvalidInput:
    return InvalidInput(
        tr("boto3 is not installed."),
        do=tr(
            'Install it with `pip install "skyport[s3]"`; inside ComfyUI, run {command} and '
            "restart.",
            command=pip("boto3"),
        ),
        platform=LABEL,
    )


def _open(settings: Settings) -> Bucket:
    """The bucket with our own keys, else with those that boto3 finds itself."""
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError

    try:
        session = Session(region_name=settings.s3_region or None, **_own_keys())
        found = session.get_credentials()
        if found is not None:
            return Bucket(_client(session, settings), settings, account(found.access_key))
        failure = _no_keys()
    except (BotoCoreError, ValueError) as error:
        failure = _unusable_settings(error)
    raise failure


def _own_keys() -> dict[str, str]:
    pair = keys.s3()
    if pair is None:
        return {}
    return {"aws_access_key_id": pair[0].value, "aws_secret_access_key": pair[1].value}


def _client(session: Any, settings: Settings) -> Any:
    from botocore.config import Config

    endpoint, style = _addressing(settings)
    connect, read = _TIMEOUT
    return session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=session.region_name or "us-east-1",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": style},
            connect_timeout=connect,
            read_timeout=read,
            retries={"total_max_attempts": 1},  # retries are ours
            # Only AWS supports the checksums that boto3 adds by default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _addressing(settings: Settings) -> tuple[str | None, str]:
    """(endpoint, addressing style).

    If the endpoint begins with the bucket, as Alibaba's and Tencent's consoles show it, the bucket
    stays in the host name; otherwise it goes into the path.
    """
    endpoint = settings.s3_endpoint
    if not endpoint:
        return None, "virtual"  # path style would reach AWS in the wrong region
    scheme, _, rest = endpoint.partition("://")
    if urlsplit(endpoint).netloc.startswith(f"{settings.s3_bucket}."):
        return f"{scheme}://{rest[len(settings.s3_bucket) + 1 :]}", "virtual"
    return endpoint, "path"


def _no_keys() -> InvalidInput:
    return InvalidInput(
        tr("no keys are set."),
        do=tr(
            "Run `skyport keys set s3`, or set the environment variables {access} and {secret}.",
            access=keys.key_variable(keys.S3_ACCESS),
            secret=keys.key_variable(keys.S3_SECRET),
        ),
        platform=LABEL,
    )


def _unusable_settings(error: Exception) -> InvalidInput:
    """Shows only the class of `error`: exceptions of boto3 quote their input."""
    return InvalidInput(
        tr("boto3 cannot use these settings ({kind}).", kind=type(error).__name__),
        do=tr("Check s3_endpoint, s3_bucket and s3_region, and AWS's own settings."),
        platform=LABEL,
    )


def advice(error: SkyportError) -> str:
    """What the user can do about an error of the bucket."""
    code = getattr(error, "code", "")
    if code in _WRONG_REGION_CODES or getattr(error, "status", 0) in (301, 307):
        return tr(
            "Check s3_region and s3_endpoint: the bucket is in another region or at another "
            "address."
        )
    if code == "RequestTimeTooSkewed":
        return tr("Correct the clock of this computer, then queue again.")
    if isinstance(error, AuthRejected):
        return tr(
            "Check the keys (`skyport keys list`): they must be allowed to put and get objects."
        )
    if isinstance(error, NotFound):
        return tr("Check s3_bucket, s3_region and s3_endpoint.")
    if isinstance(error, TransportError):
        return tr("Check the network, the proxy and s3_endpoint, then queue again.")
    return tr("Check the s3 settings.") if isinstance(error, InputRejected) else error.do
