"""Pins where media go for a platform without uploads: which host, once, and never with a key."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from _waiting import PATIENCE
from scripted import Answer, LoggedRequest, Reply, Scripted, closed_port
from skyport import providers, sandbox
from skyport.engine.base.background import Engine
from skyport.engine.base.errors import (
    AuthRejected,
    BadResult,
    InputRejected,
    InvalidInput,
    MissingKey,
    NotFound,
    ServerFault,
    SkyportError,
    TaskFailed,
    TransportError,
)
from skyport.engine.base.types import (
    MediaFile,
    Output,
    Report,
    Request,
    Status,
    Task,
    TaskState,
    no_report,
)
from skyport.engine.hosting import s3, s3_check
from skyport.engine.hosting.choice import ChosenHost, choose
from skyport.engine.hosting.upload_cache import UploadCache, UploadUrlStore
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import fingerprint_of
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.platforms.media_host import MediaHost, account
from skyport.engine.platforms.provider import Provider
from skyport.engine.settings import keys, settings
from skyport.engine.tasks.runner import Runner
from virtual import Play, clip, ended, in_memory

ACCESS, SECRET = "AKIA0123456789ABCDEF", "s3cr3t/0123456789+abcdefghijklmnopqrstuv"
DAY = 86400.0


class Bare(Provider):
    """A platform that takes only public URLs."""

    name = "bare"
    label = "Bare"

    def __init__(self, media_host: MediaHost | None = None) -> None:
        super().__init__(Http("Bare", "http://127.0.0.1:1", {}), media_host)
        self.sent: list[Any] = []

    def submit(self, request: Request, report: Report = no_report) -> str:
        self.sent.append(request.payload)
        return "1"

    def poll(self, task: Task) -> TaskState:
        return TaskState(Status.SUCCEEDED, "success", outputs=(Output(text="done"),))


class Quoting(Bare):
    """It names what it was given when it fails."""

    def poll(self, task: Task) -> TaskState:
        return TaskState(
            Status.FAILED, "failed", message=f"cannot read {self.sent[0]['images'][0]}"
        )


class Shelf:
    """A media host that keeps nothing but the count."""

    def __init__(self, name: str = "shelf", lives: float = DAY, url: str = "") -> None:
        self.upload_scope = name
        self.lasts = lives
        self.url = url or "https://files.example"
        self.uploads: list[str] = []

    def upload(self, file: MediaFile, report: Report = no_report) -> str:
        self.uploads.append(file.sha256)
        return f"{self.url}/{file.sha256}?number={len(self.uploads)}"

    def url_lifetime(self, url: str) -> float:
        return self.lasts


def ask(*files: MediaFile, seed: int = 0) -> Request:
    return Request("bare", "make", {"images": list(files)}, seed=seed)


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the developer's own AWS settings."""
    for variable in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


# -- a platform without uploads -------------------------------------------------------------


def test_without_a_host_a_file_is_refused_with_three_ways_and_nothing_is_sent(
    play: Play, tmp_path: Path
) -> None:
    bare = Bare(ChosenHost("Bare", providers.connect))
    with pytest.raises(InvalidInput) as caught:
        play.result(bare, ask(clip(tmp_path)), tmp_path)
    message = str(caught.value)
    assert message.startswith("Bare: ")
    for way in ("skyport keys set haiyi", "skyport keys set s3", "s3_bucket", "public URL"):
        assert way in message
    assert bare.sent == []
    for call in (bare.upload_scope, lambda request: bare.upload(clip(tmp_path), request)):
        with pytest.raises(InvalidInput, match="s3_bucket"):
            call(ask())


def test_a_request_without_files_needs_no_host(play: Play, tmp_path: Path) -> None:
    bare = Bare(ChosenHost("Bare", providers.connect))
    play.result(bare, Request("bare", "make", {"image": "https://a.example/b.png"}), tmp_path)
    assert bare.sent == [{"image": "https://a.example/b.png"}]


def test_a_place_that_cannot_be_used_is_told_before_any_upload_begins(
    play: Play, tmp_path: Path
) -> None:
    class Closed(Shelf):
        @property
        def upload_scope(self) -> str:
            raise MissingKey("no key")

        @upload_scope.setter
        def upload_scope(self, name: str) -> None: ...

    host = Closed()
    with pytest.raises(MissingKey):
        play.result(Bare(host), ask(clip(tmp_path, b"a"), clip(tmp_path, b"b")), tmp_path)
    assert host.uploads == []


def test_the_hosts_urls_stand_where_the_files_stood(play: Play, tmp_path: Path) -> None:
    host, one, other = Shelf(), clip(tmp_path, b"one"), clip(tmp_path, b"other")
    bare = Bare(host)
    play.result(bare, ask(one, other, one), tmp_path)
    a, b = (f"https://files.example/{f.sha256}?number={n}" for n, f in ((1, one), (2, other)))
    assert bare.sent == [{"images": [a, b, a]}]
    assert bare.url_lifetime(a, ask()) == DAY


def test_two_platforms_share_what_one_host_holds(play: Play, tmp_path: Path) -> None:
    host = Shelf()
    for endpoint in ("images", "videos"):
        request = replace(ask(clip(tmp_path)), endpoint=endpoint)
        play.result(Bare(host), request, tmp_path)
    assert len(host.uploads) == 1


def test_the_host_is_no_part_of_an_order(tmp_path: Path, play: Play) -> None:
    request = ask(clip(tmp_path))
    first = Bare(Shelf("one"))
    play.result(first, request, tmp_path)
    second = Bare(Shelf("other", url="https://elsewhere.example"))
    assert play.result(second, request, tmp_path).reused
    assert second.sent == []
    assert fingerprint_of(request, first.http.base_url) == fingerprint_of(
        request, second.http.base_url
    )


# -- what is hosted is remembered -----------------------------------------------------------


def book(home: Path, now: Callable[[], float] = time.time) -> UploadUrlStore:
    return UploadUrlStore(home / "hosted.db", now, lambda url, own_host: True)


def host_once(play: Play, provider: Provider, file: MediaFile, book: UploadUrlStore) -> str:
    """What a process that begins now makes of `file`."""
    runner = Runner(play.engine, in_memory(), book)
    return play.run(runner.host(provider, ask(), [file]))[0]


def test_a_picture_goes_up_once_for_the_next_process_too(
    play: Play, tmp_path: Path, home: Path
) -> None:
    host, file = Shelf(), clip(tmp_path)
    urls = {host_once(play, Bare(host), file, book(home)) for _ in range(3)}
    assert len(urls) == len(host.uploads) == 1
    later = time.time() + DAY
    host_once(play, Bare(host), file, book(home, lambda: later))
    assert len(host.uploads) == 2


def test_a_clock_that_was_set_back_is_not_believed(home: Path) -> None:
    book(home, lambda: 2e9).note("place", "https://files.example/a", DAY)
    assert book(home, lambda: 2e9 + 60).find("place") == ("https://files.example/a", DAY - 60)
    assert book(home, lambda: 1e9).find("place") is None


def test_what_is_over_is_forgotten_on_disk(home: Path) -> None:
    for day in range(5):
        book(home, lambda day=day: 1e9 + day * DAY).note(f"place {day}", "https://a.example", 3600)
    rows = sqlite3.connect(home / "hosted.db")
    assert rows.execute("SELECT place FROM hosted").fetchall() == [("place 4",)]
    rows.close()


def test_another_host_or_account_has_a_memory_of_its_own(
    play: Play, tmp_path: Path, home: Path
) -> None:
    file, saved = clip(tmp_path), book(home)
    hosts = [Shelf("one"), Shelf("other"), Shelf("one of another account")]
    for host in hosts:
        host_once(play, Bare(host), file, saved)
    assert [len(host.uploads) for host in hosts] == [1, 1, 1]


def test_a_platforms_own_uploads_are_kept_apart_by_account_and_without_the_key() -> None:
    def upload_scope(key: str) -> str:
        kind = providers.provider_class("haiyi")
        provider = kind(Http("HaiYi", "https://haiyi.example", kind.auth_headers(key)))
        return provider.upload_scope(Request("haiyi", kind.public_uploads, {}))

    assert upload_scope(SECRET) == upload_scope(SECRET)
    assert upload_scope(SECRET) != upload_scope(SECRET + "x")
    assert SECRET[:12] not in upload_scope(SECRET)
    assert len(account(SECRET)) == 8


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\x00" + bytes(9)]
)
def test_a_broken_book_costs_one_upload_and_heals(
    play: Play, tmp_path: Path, home: Path, content: bytes
) -> None:
    (home / "hosted.db").write_bytes(content)
    host, file = Shelf(), clip(tmp_path)
    for _ in range(3):
        host_once(play, Bare(host), file, book(home))
    assert len(host.uploads) <= 2
    before = len(host.uploads)
    host_once(play, Bare(host), file, book(home))
    assert len(host.uploads) == before


def test_a_book_that_cannot_be_written_costs_uploads_only(
    play: Play, tmp_path: Path, home: Path
) -> None:
    (home / "hosted.db").mkdir()
    host, file = Shelf(), clip(tmp_path)
    for _ in range(2):
        host_once(play, Bare(host), file, book(home))
    assert len(host.uploads) == 2


def test_many_at_once_write_one_book(home: Path) -> None:
    def write(writer: int) -> None:
        for number in range(5):
            book(home).note(f"{writer} {number}", "https://files.example/a", DAY)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = [f"{writer} {number}" for writer in range(6) for number in range(5)]
    assert [place for place in places if book(home).find(place) is None] == []


def test_what_lives_for_minutes_is_not_kept_on_disk(play: Play, tmp_path: Path, home: Path) -> None:
    host_once(play, Bare(Shelf(lives=600)), clip(tmp_path), book(home))
    assert not (home / "hosted.db").exists()


@pytest.mark.parametrize(
    ("answer", "uploads"),
    [
        (Answer(206, b"p"), 1),
        (Answer(200, b"pixels"), 1),
        (Answer(404), 2),
        (Answer(drop="after"), 2),
    ],
    ids=["there", "there whole", "gone", "no answer"],
)
def test_what_the_host_has_lost_meanwhile_goes_up_again(
    play: Play, tmp_path: Path, home: Path, answer: Answer, uploads: int
) -> None:
    with Scripted() as server:
        server.on("*", answer)
        host, file = Shelf(f"{server.url} mine", url=server.url), clip(tmp_path)
        for _ in range(2):
            host_once(play, Bare(host), file, UploadUrlStore(home / "hosted.db"))
        assert len(host.uploads) == uploads
        assert server.seen[0].target == f"/{file.sha256}?number=1"
        assert server.seen[0].headers["range"] == "bytes=0-0"


def test_a_url_on_a_private_host_that_is_not_the_hosts_own_is_not_asked(
    play: Play, tmp_path: Path, home: Path
) -> None:
    with Scripted() as server:
        host = Shelf("https://host.example mine", url=server.url)
        for _ in range(2):
            host_once(play, Bare(host), clip(tmp_path), UploadUrlStore(home / "hosted.db"))
        assert server.seen == []


RESTARTED = """
import sys
from pathlib import Path
from skyport import providers
from skyport.engine.media.files import describe
from skyport.engine.base.types import Request
provider = providers.connect("haiyi")
place = Request("haiyi", provider.public_uploads, {})
file = describe(Path(sys.argv[1]))
print(*providers.runner().engine.run(providers.runner().host(provider, place, [file])))
"""


def test_after_a_restart_a_picture_is_not_uploaded_again(haiyi: Any, tmp_path: Path) -> None:
    file = picture(tmp_path)
    before = uploads_at(haiyi)
    argv = [sys.executable, "-c", RESTARTED, str(file.path)]
    runs = [subprocess.run(argv, capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout != ""
    assert uploads_at(haiyi) - before == 1


def uploads_at(imitated: sandbox.Sandbox) -> int:
    return sum(seen.path.endswith("/file/upload") for seen in imitated.log)


def test_a_kept_url_is_checked_against_the_clock_that_runs_while_the_machine_sleeps(
    play: Play, tmp_path: Path, home: Path
) -> None:
    clock = [1e9]
    hosted, host, file = (
        UploadCache(play.engine, book(home, lambda: clock[0])),
        Shelf(),
        clip(tmp_path),
    )

    async def upload() -> tuple[str, float]:
        return host.upload(file), DAY

    async def scene() -> None:
        await hosted.url("place", upload)
        clock[0] += DAY
        await hosted.url("place", upload)

    play.run(scene())
    assert len(host.uploads) == 2


def test_a_clock_that_is_set_back_while_the_program_runs_prolongs_no_kept_url(
    play: Play, tmp_path: Path, home: Path
) -> None:
    clock, host, file = [1e9], Shelf(), clip(tmp_path)
    hosted = UploadCache(play.engine, UploadUrlStore(home / "none", lambda: clock[0]))

    async def upload() -> tuple[str, float]:
        return host.upload(file), 600.0

    async def scene() -> None:
        await hosted.url("place", upload)
        clock[0] -= 5 * 3600
        await play.pause(599)
        await hosted.url("place", upload)
        assert len(host.uploads) == 1
        await play.pause(2)
        await hosted.url("place", upload)

    play.run(scene())
    assert len(host.uploads) == 2


def test_what_a_clock_of_the_future_noted_is_not_believed_later_either(home: Path) -> None:
    ahead, right = 1e9 + 20 * 3600, 1e9
    book(home, lambda: ahead).note("place", "https://files.example/a", DAY)
    book(home, lambda: right).note("other", "https://files.example/b", DAY)
    later = ahead + 3600
    assert book(home, lambda: later).find("place") is None
    assert book(home, lambda: later).find("other") == ("https://files.example/b", 3 * 3600)


# -- which host -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imitated() -> Iterator[sandbox.Sandbox]:
    with sandbox.start(pace=0.01) as started:
        yield started


@pytest.fixture
def haiyi(imitated: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch) -> sandbox.Sandbox:
    """HaiYi is set up: a key, and the sandbox's address."""
    monkeypatch.setenv("HAIYI_BASE_URL", imitated.base_url("haiyi"))
    monkeypatch.setenv("HAIYI_API_KEY", imitated.key("haiyi"))
    return imitated


def hosted_by(file: MediaFile) -> str:
    return choose("Bare", providers.connect).upload(file)


def picture(folder: Path) -> MediaFile:
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(folder / "red.png")
    return clip(folder, (folder / "red.png").read_bytes())


@pytest.mark.parametrize("named", ["haiyi", "auto"])
def test_haiyi_hosts_at_a_public_url(haiyi: Any, tmp_path: Path, named: str) -> None:
    settings.save({"media_host": named})
    file = picture(tmp_path)
    url = hosted_by(file)
    assert url.startswith(f"{haiyi.base_url('haiyi')}/oss/")
    assert requests.get(url, timeout=PATIENCE).content == file.path.read_bytes()  # no key was sent


def test_the_platform_without_uploads_is_given_the_host_by_connect(
    haiyi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAPPYHORSE_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HAPPYHORSE_API_KEY", "hh-0123456789abcdef")
    provider = providers.connect("happyhorse")
    url = provider.upload(picture(tmp_path), Request("happyhorse", "", {}))
    assert url.startswith(haiyi.base_url("haiyi"))
    assert providers.connect("haiyi").media_host is None


def test_haiyi_chosen_without_its_key_says_how_to_set_one() -> None:
    settings.save({"media_host": "haiyi"})
    with pytest.raises(MissingKey, match="skyport keys set haiyi"):
        _ = ChosenHost("Bare", providers.connect).upload_scope


def test_auto_takes_a_bucket_before_a_platform(haiyi: Any, bucket: Any) -> None:
    settings.save({"media_host": "auto"})
    assert isinstance(choose("Bare", providers.connect), s3.Bucket)
    settings.save({"s3_bucket": None})
    assert not isinstance(choose("Bare", providers.connect), s3.Bucket)


def test_auto_without_any_tells_the_ways() -> None:
    with pytest.raises(InvalidInput, match="skyport keys set s3"):
        choose("Bare", providers.connect)


def test_in_the_sandbox_nothing_leaves_it_whatever_is_set(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def connect(platform: str) -> Provider:
        asked.append(platform)
        return Bare()

    settings.save({"media_host": "s3", "sandbox": True})
    assert not isinstance(choose("Bare", connect), s3.Bucket)
    assert asked == ["haiyi"]


@pytest.fixture
def no_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)


@pytest.mark.parametrize("named", ["s3", "auto"])
def test_without_boto3_it_is_said_how_to_install_it(no_boto3: None, named: str) -> None:
    settings.save({"media_host": named, "s3_bucket": "pictures"})
    with pytest.raises(InvalidInput, match=r'pip install "skyport\[s3\]"') as caught:
        choose("Bare", providers.connect)
    assert "-s -m pip install boto3" in str(caught.value)


def test_what_is_meant_for_a_bucket_goes_nowhere_else(haiyi: Any, no_boto3: None) -> None:
    settings.save({"s3_bucket": "pictures"})
    with pytest.raises(InvalidInput, match="boto3 is not installed"):
        choose("Bare", providers.connect)


def test_boto3_is_loaded_only_for_a_bucket(haiyi: Any, no_boto3: None, tmp_path: Path) -> None:
    assert hosted_by(picture(tmp_path))


def test_s3_without_a_bucket_says_what_to_set() -> None:
    settings.save({"media_host": "s3"})
    with pytest.raises(InvalidInput, match="SKYPORT_S3_BUCKET"):
        choose("Bare", providers.connect)


# -- a bucket -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture
def bucket(storage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An owner's view of the bucket that is set up; every version of an object is kept."""
    use_bucket(storage, monkeypatch)
    owner = s3.bucket(settings.load())._client
    owner.create_bucket(Bucket="pictures")
    rule = {"Status": "Enabled"}
    owner.put_bucket_versioning(Bucket="pictures", VersioningConfiguration=rule)
    yield owner
    requests.post(f"{storage}/moto-api/reset", timeout=PATIENCE)


def use_bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.save({"media_host": "s3", "s3_bucket": "pictures", "s3_endpoint": endpoint})
    monkeypatch.setenv("SKYPORT_S3_ACCESS_KEY", ACCESS)
    monkeypatch.setenv("SKYPORT_S3_SECRET_KEY", SECRET)


def stored(owner: Any) -> list[str]:
    """The key of every object that was put, as often as it was."""
    found = owner.list_object_versions(Bucket="pictures").get("Versions", [])
    return [one["Key"] for one in found]


def test_a_file_in_the_bucket_can_be_fetched_by_anyone_who_has_its_url(
    bucket: Any, tmp_path: Path
) -> None:
    file, seen = picture(tmp_path), list[tuple[int, int]]()
    url = choose("Bare", providers.connect).upload(file, lambda *moved: seen.append(moved))
    answer = requests.get(url, timeout=PATIENCE)
    assert answer.content == file.path.read_bytes()
    assert answer.headers["Content-Type"] == "image/png"
    assert stored(bucket) == [f"skyport/{file.sha256}.png"]
    assert seen[-1] == (file.size, file.size)


@pytest.mark.parametrize(
    ("changes", "seconds", "key"),
    [
        ({}, "86400", "skyport/"),
        ({"s3_hours": 1.5, "s3_prefix": "/a/b/"}, "5400", "a/b/"),
        ({"s3_hours": 168, "s3_prefix": "/"}, "604800", ""),
    ],
)
def test_life_time_and_folder_are_those_of_the_settings(
    bucket: Any, tmp_path: Path, changes: dict[str, Any], seconds: str, key: str
) -> None:
    settings.save(changes)
    file = clip(tmp_path)
    url = hosted_by(file)
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [seconds]
    assert urlsplit(url).path == f"/pictures/{key}{file.sha256}.png"
    assert requests.get(url, timeout=PATIENCE).ok


def test_a_picture_goes_up_once_and_every_session_finds_it_in_the_bucket(
    play: Play, bucket: Any, tmp_path: Path, home: Path
) -> None:
    file = clip(tmp_path)
    for _ in range(3):
        bare = Bare(ChosenHost("Bare", providers.connect))
        url = host_once(play, bare, file, book(home))
        assert requests.get(url, timeout=PATIENCE).content == b"pixels"
    assert len(stored(bucket)) == 1


def test_a_bucket_that_was_emptied_is_filled_again(play: Play, bucket: Any, tmp_path: Path) -> None:
    bare, file = Bare(ChosenHost("Bare", providers.connect)), clip(tmp_path)
    runner = Runner(play.engine, in_memory())
    play.run(runner.host(bare, ask(), [file]))
    bucket.delete_object(Bucket="pictures", Key=stored(bucket)[0])
    play.run(asyncio.sleep(600))
    [url] = play.run(runner.host(bare, ask(), [file]))
    assert requests.get(url, timeout=PATIENCE).content == b"pixels"


def test_an_object_older_than_its_urls_live_or_of_another_size_goes_up_again(
    bucket: Any, tmp_path: Path
) -> None:
    current, file = settings.load(), clip(tmp_path)
    hosted_by(file)
    hosted_by(file)
    assert len(stored(bucket)) == 1
    s3.Bucket(bucket, current, "me", now=lambda: time.time() + DAY).upload(file)
    assert len(stored(bucket)) == 2
    file.path.write_bytes(b"encoded anew")
    hosted_by(replace(file, size=12))
    assert len(stored(bucket)) == 3


def test_a_url_is_reused_for_minutes_and_never_one_about_to_end(bucket: Any) -> None:
    current = settings.load()
    lives = [
        s3.Bucket(bucket, replace(current, s3_hours=hours), "me").url_lifetime("")
        for hours in (24, 1.1, 1)
    ]
    assert lives == [600, pytest.approx(360), 0]


def test_nothing_of_a_bucket_but_its_keys_file_is_kept_on_disk(
    play: Play, bucket: Any, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKYPORT_S3_ACCESS_KEY")
    monkeypatch.delenv("SKYPORT_S3_SECRET_KEY")
    keys.set_s3(ACCESS, SECRET)
    host_once(play, Bare(ChosenHost("Bare", providers.connect)), clip(tmp_path), book(home))
    others = [path for path in home.rglob("*") if path.is_file() and path.name != "keys.json"]
    assert [path for path in others if ACCESS.encode() in path.read_bytes()] == []
    assert [path for path in others if SECRET.encode() in path.read_bytes()] == []


def test_the_signature_of_a_url_is_neither_in_the_ledger_nor_in_an_error(
    bucket: Any, tmp_path: Path, home: Path
) -> None:
    """Platforms quote the address that they could not read, with all that it is signed with."""
    bare = Quoting(ChosenHost("Bare", providers.connect))
    with Play(ResilientLedger(home)) as play, pytest.raises(TaskFailed) as caught:
        play.result(bare, ask(clip(tmp_path)), tmp_path)
    [url] = bare.sent[0]["images"]
    assert f"X-Amz-Credential={ACCESS}" in url
    assert f"cannot read {url.partition('?')[0]}" in str(caught.value)
    assert "X-Amz" not in str(caught.value)
    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert [content for content in written if ACCESS.encode() in content] == []
    assert any(url.partition("?")[0].encode() in content for content in written)


def test_a_test_of_the_bucket_writes_reads_and_deletes_one_object(bucket: Any) -> None:
    assert s3_check.check() == "Works: a file was written, read by its URL and deleted."
    assert len(stored(bucket)) == 1
    assert "Contents" not in bucket.list_objects_v2(Bucket="pictures")


def test_a_bucket_that_cannot_be_written_fails_its_test_with_the_step_and_the_remedy(
    bucket: Any,
) -> None:
    settings.save({"s3_bucket": "no-such-bucket"})
    with pytest.raises(NotFound, match=r"^S3: A file cannot be written.*NoSuchBucket.*s3_bucket"):
        s3_check.check()


def test_a_bucket_behind_an_address_where_nothing_answers_fails_its_test(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_bucket(f"http://127.0.0.1:{closed_port()}", monkeypatch)
    with pytest.raises(TransportError, match=r"^S3: A file cannot be written.*s3_endpoint"):
        s3_check.check()


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ("GET", r"A file in the bucket cannot be read by its URL.*allowed to put and get"),
        ("PUT", r"A file cannot be written to the bucket.*allowed to put and get"),
    ],
)
def test_a_key_without_a_permission_fails_the_test_at_that_step(
    monkeypatch: pytest.MonkeyPatch, refused: str, words: str
) -> None:
    with Scripted() as server:
        server.on("*", lambda seen: Answer(403 if seen.method in (refused, "HEAD") else 200))
        use_bucket(server.url, monkeypatch)
        with pytest.raises(AuthRejected, match=words):
            s3_check.check()


def test_a_bucket_behind_a_web_page_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted() as server:
        server.on("*", lambda seen: Answer(404 if seen.method == "HEAD" else 200, b"<html>"))
        use_bucket(server.url, monkeypatch)
        with pytest.raises(BadResult, match=r"^S3: A file in the bucket.*a web page or a proxy"):
            s3_check.check()


def test_a_bucket_that_is_not_set_is_named() -> None:
    with pytest.raises(InvalidInput, match="s3_bucket is not set"):
        s3_check.check()


def test_a_bucket_that_does_not_exist_is_named_with_the_setting(
    bucket: Any, tmp_path: Path
) -> None:
    settings.save({"s3_bucket": "no-such-bucket"})
    with pytest.raises(NotFound, match=r"^S3: .*NoSuchBucket.*s3_bucket"):
        hosted_by(clip(tmp_path))


def test_aws_own_variables_serve_where_ours_are_not_set(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKYPORT_S3_ACCESS_KEY")
    monkeypatch.delenv("SKYPORT_S3_SECRET_KEY")
    with pytest.raises(InvalidInput, match="skyport keys set s3"):
        choose("Bare", providers.connect)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMTHECHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert "AKIAFROMTHECHAIN" in hosted_by(clip(tmp_path))


def test_a_broken_aws_profile_is_told_without_a_traceback(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(InvalidInput, match="ProfileNotFound"):
        choose("Bare", providers.connect)


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [
        (None, "https://pictures.s3.eu-west-3.amazonaws.com/skyport/"),
        ("https://minio.example:9000", "https://minio.example:9000/pictures/skyport/"),
        ("https://pictures.oss.example", "https://pictures.oss.example/skyport/"),
    ],
    ids=["AWS", "by path", "by host name"],
)
def test_a_bucket_is_named_in_the_path_or_in_the_host_as_the_endpoint_is_written(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, start: str
) -> None:
    use_bucket("https://unused.example", monkeypatch)
    settings.save({"s3_endpoint": endpoint, "s3_region": "eu-west-3"})
    assert s3.bucket(settings.load())._presign("get_object", Key="skyport/a").startswith(start)


# -- a bucket that refuses ------------------------------------------------------------------


def refusal(status: int, code: str, words: str) -> Answer:
    """An error as S3's document shows it; what it quotes beside must not be passed on."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{words}</Message><AWSAccessKeyId>{ACCESS}</AWSAccessKeyId>"
        f"<StringToSign>AWS4-HMAC-SHA256 {SECRET}</StringToSign></Error>"
    )
    return Answer(status, body.encode(), (("Content-Type", "application/xml"),))


def puts(server: Scripted) -> int:
    return sum(seen.method == "PUT" for seen in server.seen)


def on_put(*replies: Reply) -> Reply:
    """What to answer to PUTs in turn, the last one again; to a HEAD, that nothing is there."""
    waiting = list(replies)

    def reply(seen: LoggedRequest) -> Answer:
        if seen.method == "HEAD":
            return Answer(404)
        chosen = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return chosen(seen) if callable(chosen) else chosen

    return reply


REFUSALS = [
    (403, "InvalidAccessKeyId", "does not exist in our records", AuthRejected, "keys"),
    (403, "SignatureDoesNotMatch", "does not match the signature", AuthRejected, "keys"),
    (403, "AccessDenied", "Access Denied", AuthRejected, "put and get objects"),
    (403, "RequestTimeTooSkewed", "The difference is too large", AuthRejected, "clock"),
    (403, "SecondLevelDomainForbidden", "Please use virtual hosted style", AuthRejected, "s3_endp"),
    (404, "NoSuchBucket", "The specified bucket does not exist", NotFound, "s3_bucket"),
    (400, "AuthorizationQueryParametersError", "expecting 'x'", InputRejected, "s3_region"),
    (
        301,
        "PermanentRedirect",
        "It must be addressed elsewhere",
        InputRejected,
        "s3_region",
    ),
    (400, "EntityTooLarge", "Your upload is too large", InputRejected, "s3 settings"),
    (503, "SlowDown", "Reduce your request rate", ServerFault, "queue again later"),
]


@pytest.mark.parametrize(("status", "code", "words", "kind", "advice"), REFUSALS)
def test_what_the_bucket_says_is_told_with_what_to_do_and_without_a_key(
    play: Play, tmp_path: Path, monkeypatch: Any, caplog: Any, status: int, code: str, words: str,
    kind: type[SkyportError], advice: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    with Scripted() as server:
        server.on("*", on_put(refusal(status, code, words)))
        use_bucket(server.url, monkeypatch)
        bare = Bare(ChosenHost("Bare", providers.connect))
        with pytest.raises(SkyportError) as caught:
            play.result(bare, ask(clip(tmp_path)), tmp_path)
        assert puts(server) == (5 if kind is ServerFault else 1)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert message.startswith("S3: ")
    assert all(part in message for part in (words, code, advice))
    assert ACCESS not in message + repr(caught.value)
    assert SECRET not in message + repr(caught.value) + caplog.text
    assert bare.sent == []


def test_an_upload_that_broke_off_is_made_again(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scripted() as server:
        server.on("*", on_put(Answer(drop="after"), Answer(500), Answer(200)))
        use_bucket(server.url, monkeypatch)
        bare = Bare(ChosenHost("Bare", providers.connect))
        play.result(bare, ask(clip(tmp_path)), tmp_path)
        assert puts(server) == 3
    assert len(bare.sent) == 1


def test_a_bucket_that_does_not_answer_is_told_by_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_bucket(f"http://127.0.0.1:{closed_port()}", monkeypatch)
    with pytest.raises(TransportError, match=r"refused.*s3_endpoint") as caught:
        hosted_by(clip(tmp_path))
    assert "X-Amz" not in str(caught.value)


def signature(seen: LoggedRequest) -> str:
    """What AWS's document of signature version 4 makes of a presigned request, as it arrived."""
    path, _, query = seen.target.partition("?")
    asked = dict(pair.split("=", 1) for pair in query.split("&"))
    given = {name: unquote(value) for name, value in asked.items()}
    names = given["X-Amz-SignedHeaders"].split(";")
    rest = "&".join(f"{n}={v}" for n, v in sorted(asked.items()) if n != "X-Amz-Signature")
    headers = "".join(f"{name}:{seen.headers[name]}\n" for name in names)
    lines = [seen.method, path, rest, headers, ";".join(names), "UNSIGNED-PAYLOAD"]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = given["X-Amz-Credential"].partition("/")[2]
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signed = f"AWS4-HMAC-SHA256\n{given['X-Amz-Date']}\n{scope}\n{digest}"
    return hmac.digest(key, signed.encode(), "sha256").hex()


def test_what_goes_to_the_bucket_is_what_was_signed_and_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scripted() as server:
        server.on("*", on_put(Answer(200)))
        use_bucket(server.url, monkeypatch)
        settings.save({"s3_prefix": "a/b-c.d"})
        url = hosted_by(clip(tmp_path))
        requests.get(url, timeout=PATIENCE)
        assert [seen.method for seen in server.seen] == ["HEAD", "PUT", "GET"]
        for seen in server.seen[1:]:
            assert parse_qs(seen.target)["X-Amz-Signature"] == [signature(seen)]
        assert SECRET not in str(server.seen)
        assert server.seen[1].body == b"pixels"
        assert server.seen[1].headers["content-type"] == "image/png"


def test_the_files_of_one_request_go_up_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(4, timeout=PATIENCE)

    def wait(seen: LoggedRequest) -> Answer:
        together.wait()
        return Answer(200)

    async def scene(runner: Runner, bare: Bare) -> None:
        files = [clip(tmp_path, bytes([number])) for number in range(4)]
        await ended(await runner.begin(bare, ask(*files), tmp_path))

    with Scripted() as server:
        server.on("*", on_put(wait))
        use_bucket(server.url, monkeypatch)
        bare, engine = Bare(ChosenHost("Bare", providers.connect)), Engine()
        engine.run(scene(Runner(engine, in_memory()), bare))
    assert len(set(bare.sent[0]["images"])) == 4


def test_no_way_of_printing_a_host_shows_a_key(bucket: Any) -> None:
    host = choose("Bare", providers.connect)
    chosen = ChosenHost("Bare", providers.connect)
    for printed in (
        repr(host),
        repr(chosen),
        host.upload_scope,
        chosen.upload_scope,
        str(vars(host)),
    ):
        assert ACCESS not in printed
        assert SECRET not in printed
