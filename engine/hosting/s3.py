"""Media in an S3-compatible bucket, fetched by presigned URLs. boto3 signs; `_http` carries."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
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
from ..base.types import MediaFile, Report, silent
from ..base.words import tr
from ..http.client import Http
from ..http.session import origin_text
from ..media.files import extension
from ..platforms.media_host import account
from ..settings import keys
from ..settings.settings import Settings

LABEL = "S3"

_SPARE = 3600.0  # a queued task still needs its media later
_LOOK_AGAIN = 600.0  # then the bucket is asked once more: it may have been emptied
_TIMEOUT = (10, 60)
_ELSEWHERE = (
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "PermanentRedirect",
    "SecondLevelDomainForbidden",
    "TemporaryRedirect",
)


class Bucket:
    """A bucket. The same file has the same key, so what an earlier session put there serves again.

    An object older than its URLs live is put there again: so a rule of the bucket that deletes
    after twice that time (two days by default) never takes what a task still needs.
    """

    def __init__(
        self,
        client: Any,
        settings: Settings,
        whose: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._now = now
        self._bucket = settings.s3_bucket
        self._prefix = settings.s3_prefix
        self._life = settings.s3_hours * 3600
        self.upload_scope = (
            f"{origin_text(client.meta.endpoint_url)} {self._bucket} {self._prefix} {whose}"
        )

    def upload(self, file: MediaFile, report: Report = silent) -> str:
        """A URL of the file that lives `s3_hours`; bytes go up only where it is not there yet."""
        key = f"{self._prefix}/{file.sha256}.{extension(file.mime)}".lstrip("/")
        if self._holds(key, file.size):
            report(file.size, file.size)
        else:
            self._put(key, file, report)
        return self._signed("get_object", Key=key)

    def url_lifetime(self, url: str) -> float:
        """Short: asking the bucket again costs no upload, and renews the URL."""
        return max(0.0, min(_LOOK_AGAIN, self._life - _SPARE))

    def _put(self, key: str, file: MediaFile, report: Report) -> None:
        # By a presigned URL too: if this one is taken, so is the one the platform will get.
        url = self._signed("put_object", Key=key, ContentType=file.mime)
        http = Http(LABEL, origin_text(url), {}, timeout=_TIMEOUT)
        try:
            http.put_file(url, file, {"Content-Type": file.mime}, report)
        except (ApiError, TransportError) as error:
            error.do = _advice(error)
            raise

    def _holds(self, key: str, size: int) -> bool:
        """Whether the file is there, and young enough. Without the right to look it counts not."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError):
            return False
        age = self._now() - found["LastModified"].timestamp()
        return bool(found["ContentLength"] == size and age < self._life)

    def _signed(self, call: str, **about: str) -> str:
        from botocore.exceptions import BotoCoreError

        inside = {"Bucket": self._bucket, **about}
        try:
            url = self._client.generate_presigned_url(call, inside, ExpiresIn=int(self._life))
            return str(url)
        except BotoCoreError as error:  # keys that boto3 renews by itself
            failure = _unusable(error)
        raise failure


def is_installed() -> bool:
    return find_spec("boto3") is not None


def bucket(settings: Settings) -> Bucket:
    """The bucket of the settings. Raises InvalidInput where something of it is missing."""
    if not settings.s3_bucket:
        raise InvalidInput(
            tr("media_host is s3, but s3_bucket is not set."),
            do=tr("Set s3_bucket (SKYPORT_S3_BUCKET), or another media_host."),
            platform=LABEL,
        )
    if not is_installed():
        raise not_installed()
    return _opened(settings)


def not_installed() -> InvalidInput:
    return InvalidInput(
        tr("boto3 is not installed."),
        do=tr(
            'Install it with `pip install "skyport[s3]"`; inside ComfyUI, with `pip install boto3` '
            "of the Python that runs ComfyUI."
        ),
        platform=LABEL,
    )


def _opened(settings: Settings) -> Bucket:
    """Our own keys, else those that boto3 finds by itself."""
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError

    try:
        session = Session(region_name=settings.s3_region or None, **_own_keys())
        found = session.get_credentials()
        if found is not None:
            return Bucket(_client(session, settings), settings, account(found.access_key))
        failure = _no_keys()
    except (BotoCoreError, ValueError) as error:
        failure = _unusable(error)
    raise failure


def _own_keys() -> dict[str, str]:
    pair = keys.s3()
    if pair is None:
        return {}
    return {"aws_access_key_id": pair[0].value, "aws_secret_access_key": pair[1].value}


def _client(session: Any, settings: Settings) -> Any:
    from botocore.config import Config

    endpoint, style = _addressed(settings)
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
            retries={"total_max_attempts": 1},  # a try that fails is ours to repeat
            # Only AWS knows the checksums that boto3 adds unasked.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _addressed(settings: Settings) -> tuple[str | None, str]:
    """(endpoint, how buckets are named). Where the endpoint begins with the bucket, as Alibaba's
    and Tencent's consoles show it, the bucket stays in the host name; elsewhere in the path."""
    endpoint = settings.s3_endpoint
    if not endpoint:
        return None, "virtual"  # by path, AWS would be asked at an address of another region
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


def _unusable(error: Exception) -> InvalidInput:
    """Names the kind of `error` only: what boto3 raises quotes what it was given."""
    return InvalidInput(
        tr("boto3 cannot use these settings ({kind}).", kind=type(error).__name__),
        do=tr("Check s3_endpoint, s3_bucket and s3_region, and AWS's own settings."),
        platform=LABEL,
    )


def _advice(error: SkyportError) -> str:
    code = getattr(error, "code", "")
    if code in _ELSEWHERE or getattr(error, "status", 0) in (301, 307):
        return tr("Check s3_region and s3_endpoint: the bucket lives elsewhere.")
    if code == "RequestTimeTooSkewed":
        return tr("Set this machine's clock.")
    if isinstance(error, AuthRejected):
        return tr(
            "Check the keys (`skyport keys list`): they must be allowed to put and get objects."
        )
    if isinstance(error, NotFound):
        return tr("Check s3_bucket, s3_region and s3_endpoint.")
    if isinstance(error, TransportError):
        return tr("Check the network, the proxy and s3_endpoint, then queue again.")
    return tr("Check the s3 settings.") if isinstance(error, InputRejected) else error.do
