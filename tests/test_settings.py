"""Pins where data and settings live, what wins over what, that a wrong setting is told by name."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyport.engine.base.errors import InvalidInput
from skyport.engine.settings import folders, json_file, keys
from skyport.engine.settings.settings import Settings, load, results, save

POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


def write(home: Path, tree: object) -> None:
    (home / "settings.json").write_text(json.dumps(tree), encoding="utf-8")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- the data folder ----------------------------------------------------------------------------


def test_skyport_home_wins_over_what_the_host_says(home, tmp_path):
    folders.use_home(tmp_path / "host")
    assert folders.home() == home


def test_the_host_wins_over_the_systems_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("SKYPORT_HOME")
    folders.use_home(tmp_path / "host")
    assert folders.home() == tmp_path / "host"


def test_a_pack_among_a_comfyuis_custom_nodes_shares_that_comfyuis_folder(tmp_path):
    pack = tmp_path / "custom_nodes" / "skyport"
    pack.mkdir(parents=True)
    assert folders.beside_comfyui(pack) is None
    (tmp_path / "folder_paths.py").touch()
    assert folders.beside_comfyui(pack) == tmp_path / "user" / "__skyport"
    assert folders.beside_comfyui(tmp_path / "elsewhere" / "skyport") is None


def test_without_either_it_is_the_systems_folder_for_user_data(monkeypatch, tmp_path):
    monkeypatch.delenv("SKYPORT_HOME")
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert folders.home() == Path(platformdirs.user_data_dir("skyport", appauthor=False))


@POSIX
def test_a_data_folder_made_by_us_is_closed_to_others(monkeypatch, tmp_path):
    monkeypatch.setenv("SKYPORT_HOME", str(tmp_path / "a" / "b"))
    assert mode(folders.home()) == 0o700


def test_a_data_folder_that_cannot_be_made_is_named_with_a_way_out(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SKYPORT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InvalidInput, match=r"file.*SKYPORT_HOME"):
        folders.home()


def test_a_relative_data_folder_stays_where_it_was_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYPORT_HOME", "here")
    assert folders.home() == tmp_path / "here"


# -- where results go ---------------------------------------------------------------------------


def test_results_go_beside_the_caller_when_nobody_says_otherwise(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert results() == tmp_path / "skyport-output"


def test_results_go_where_the_host_says_unless_the_user_set_a_folder(tmp_path):
    folders.use_results(tmp_path / "host")
    assert results() == tmp_path / "host"
    save({"results_dir": str(tmp_path / "user")})
    assert results() == tmp_path / "user"


# -- reading ------------------------------------------------------------------------------------


def test_the_defaults_hold_where_nothing_is_written():
    assert load() == Settings(
        max_parallel="auto",
        most_per_task=10,
        time_limit_s=None,
        max_result_mb=4096,
        results_dir=None,
        sandbox=False,
        language=None,
        catalogue_hours=24,
        reuse_results=True,
        head_start=True,
        media_host="auto",
        s3_endpoint="",
        s3_bucket="",
        s3_region="",
        s3_prefix="skyport",
        s3_hours=24,
        happyhorse_media="url",
        base_urls={},
    )


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        load().sandbox = True


def test_a_change_of_the_file_by_another_hand_is_seen(home):
    write(home, {"max_parallel": 2})
    assert load().max_parallel == 2
    write(home, {"max_parallel": 30})
    assert load().max_parallel == 30
    (home / "settings.json").unlink()
    assert load().max_parallel == "auto"


def test_an_unchanged_file_is_not_read_again(home):
    write(home, {"max_parallel": 2})
    before = load()
    path = home / "settings.json"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b'{"max_parallel": 3}')
    os.utime(path, ns=times)
    assert load() == before


def test_null_means_the_default(home):
    write(home, {"max_parallel": None, "sandbox": None})
    assert load() == Settings()


def test_a_byte_order_mark_is_no_hindrance(home):
    (home / "settings.json").write_bytes(b'\xef\xbb\xbf{"sandbox": true}')
    assert load().sandbox is True


WRONG = {
    "max_parallel": [0, -1, True, 1.5, "8", [8], "many", ""],
    "most_per_task": [0, -1, True, 1.5, "8"],
    "time_limit_s": [0, -1, True, "60", float("inf"), float("nan")],
    "max_result_mb": [0, "4096"],
    "results_dir": ["relative/folder", "", 7],
    "results_url": ["relative", "", 7, "s3://", "s3://key:secret@bucket", "https://bucket.example"],
    "sandbox": ["true", 2, 1.0, []],
    "language": [7, " "],
    "catalogue_hours": [0, "24"],
    "reuse_results": ["yes"],
    "head_start": ["yes", 2],
    "media_host": [False, "", "s4", "gpugeek", "_s3"],
    "s3_endpoint": ["minio.example", "", "https://key:secret@minio.example"],
    "s3_bucket": ["two words", "a/b", "", 7],
    "s3_region": ["eu west", ""],
    "s3_prefix": ["a?b", "", 1],
    "s3_hours": [0.5, 169, True, "24", float("nan")],
    "happyhorse_media": ["data", "", True],
    "base_urls": ["https://example.com", ["https://example.com"], {"haiyi": 1}],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_value_of_the_wrong_kind_is_told_by_file_and_name(home, name, value):
    write(home, {name: value})
    with pytest.raises(InvalidInput) as caught:
        load()
    assert str(home / "settings.json") in str(caught.value)
    assert name in str(caught.value)


def test_every_setting_has_a_field_on_the_page():
    """But addresses that have fields of their own, and where the ledger is, which no page sets."""
    page = Path(folders.__file__).parents[2] / "web" / "settings" / "sections.js"
    shown = set(re.findall(r'name: "(\w+)"', page.read_text(encoding="utf-8")))
    assert {one.name for one in fields(Settings)} - shown == {"base_urls", "ledger_url"}


def test_a_media_host_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"media_host must be one of: auto, s3, .*haiyi"):
        save({"media_host": "ftp"})


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://user:secret@example.com",
        "https://example.com/?key=secret",
        "https://example.com/#x",
        "https://exa mple.com",
        "https://example.com:port",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused_with_its_platform_and_without_its_text(home, url):
    write(home, {"base_urls": {"haiyi": url}})
    with pytest.raises(InvalidInput, match=r"base_urls\.haiyi") as caught:
        load()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[1]", "", '{"a": 1}}', "[" * 100_000, "null"])
def test_a_broken_file_is_named_and_left_alone(home, text):
    path = home / "settings.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"settings\.json"):
        load()
    with pytest.raises(InvalidInput, match=r"settings\.json"):
        save({"sandbox": True})
    assert path.read_text() == text


# -- the environment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SKYPORT_MAX_PARALLEL", "3", "max_parallel", 3),
        ("SKYPORT_TIME_LIMIT_S", "2.5", "time_limit_s", 2.5),
        ("SKYPORT_MAX_RESULT_MB", "10", "max_result_mb", 10),
        ("SKYPORT_SANDBOX", "1", "sandbox", True),
        ("SKYPORT_SANDBOX", "True", "sandbox", True),
        ("SKYPORT_LANG", "zh", "language", "zh"),
        ("SKYPORT_CATALOGUE_HOURS", "1", "catalogue_hours", 1),
        ("SKYPORT_REUSE_RESULTS", "off", "reuse_results", False),
        ("SKYPORT_HEAD_START", "no", "head_start", False),
        ("SKYPORT_MEDIA_HOST", "HaiYi", "media_host", "haiyi"),
        ("SKYPORT_S3_ENDPOINT", "https://minio.example/", "s3_endpoint", "https://minio.example"),
        ("SKYPORT_S3_BUCKET", "7", "s3_bucket", "7"),
        ("SKYPORT_S3_REGION", "eu-west-3", "s3_region", "eu-west-3"),
        ("SKYPORT_S3_PREFIX", "/a/b/", "s3_prefix", "a/b"),
        ("SKYPORT_S3_HOURS", "1.5", "s3_hours", 1.5),
        ("SKYPORT_HAPPYHORSE_MEDIA", "Inline", "happyhorse_media", "inline"),
    ],
)
def test_the_environment_wins_over_the_file(home, monkeypatch, variable, text, name, value):
    write(home, {name: None})
    monkeypatch.setenv(variable, text)
    assert getattr(load(), name) == value


def test_the_environment_wins_over_a_value_in_the_file(home, monkeypatch, tmp_path):
    write(home, {"sandbox": True, "results_dir": str(tmp_path / "file")})
    monkeypatch.setenv("SKYPORT_SANDBOX", "0")
    monkeypatch.setenv("SKYPORT_RESULTS_DIR", str(tmp_path / "environment"))
    assert load().sandbox is False
    assert load().results_dir == tmp_path / "environment"


def test_an_empty_variable_says_nothing(monkeypatch):
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", " ")
    assert load() == Settings()


def test_a_wrong_variable_is_told_by_its_name(monkeypatch):
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "many")
    with pytest.raises(InvalidInput, match="SKYPORT_MAX_PARALLEL must be a whole number"):
        load()


# -- writing ------------------------------------------------------------------------------------


def test_what_is_saved_is_there_at_once_and_for_the_next_process(home):
    assert save({"max_parallel": 3}).max_parallel == 3
    assert json.loads((home / "settings.json").read_text()) == {"max_parallel": 3}


def test_settings_of_a_newer_version_survive_a_save(home):
    write(home, {"from_the_future": {"a": 1}})
    save({"sandbox": True})
    assert json.loads((home / "settings.json").read_text()) == {
        "from_the_future": {"a": 1},
        "sandbox": True,
    }


def test_none_goes_back_to_the_default(home):
    save({"max_parallel": 3, "sandbox": True})
    assert save({"max_parallel": None}) == Settings(sandbox=True)
    assert json.loads((home / "settings.json").read_text()) == {"sandbox": True}


def test_addresses_are_merged_by_platform():
    save({"base_urls": {"haiyi": "http://127.0.0.1:1/", "gpugeek": "http://127.0.0.1:2"}})
    after = save({"base_urls": {"gpugeek": None, "happyhorse": "http://127.0.0.1:3"}})
    assert after.base_urls == {"haiyi": "http://127.0.0.1:1", "happyhorse": "http://127.0.0.1:3"}


@pytest.mark.parametrize("changes", [{"max_paralel": 3}, {"max_parallel": 0}, {"sandbox": "on"}])
def test_a_wrong_change_is_refused_by_name_and_nothing_is_written(home, changes):
    with pytest.raises(InvalidInput, match=next(iter(changes))):
        save({"media_host": "auto", **changes})
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("way", ["a file", "below a file", "a dead link", "a long name"])
def test_a_results_folder_that_cannot_be_made_is_refused(home, tmp_path, way):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    folder = {"a file": "file", "below a file": "file/a/b", "a dead link": "link/a"}
    path = tmp_path / folder.get(way, "x" * 300)
    with pytest.raises(InvalidInput, match="Results cannot be written to"):
        save({"results_dir": str(path)})
    assert not (home / "settings.json").exists()


def test_a_results_folder_is_tried_and_left_as_it_was(tmp_path):
    save({"results_dir": str(tmp_path / "new" / "folder")})
    assert list(tmp_path.iterdir()) == []
    save({"sandbox": True})  # what is not changed is not tried


@POSIX
def test_the_file_is_closed_to_others_and_nothing_is_left_beside_it(home):
    save({"sandbox": True})
    assert mode(home / "settings.json") == 0o600
    assert [path.name for path in home.iterdir()] == ["settings.json"]


def test_a_folder_that_takes_no_file_is_told(home):
    (home / "settings.json").mkdir()
    with pytest.raises(InvalidInput, match=r"settings\.json"):
        save({"sandbox": True})


def test_a_write_that_fails_leaves_nothing_behind(home):
    (home / "taken").mkdir()
    with pytest.raises(InvalidInput, match="taken"):
        json_file.write(home / "taken", {"key": "secret"})
    assert [path.name for path in home.iterdir()] == ["taken"]


@given(st.integers(min_value=1), st.floats(min_value=0.001, allow_infinity=False), st.booleans())
def test_what_is_saved_comes_back(count, seconds, flag):
    saved = save({"max_parallel": count, "time_limit_s": seconds, "reuse_results": flag})
    assert (saved.max_parallel, saved.time_limit_s, saved.reuse_results) == (count, seconds, flag)


# -- the ledger of a team -----------------------------------------------------------------------

PASSWORD_URL = "postgresql://me:s%40cret@db.example/skyport?sslmode=require"
SHOWN_URL = "postgresql://me@db.example/skyport?sslmode=require"


def test_the_password_of_a_ledger_is_a_key_wherever_it_was_written(monkeypatch, home):
    assert keys.ledger_password() is None
    (home / "settings.json").write_text(json.dumps({"ledger_url": PASSWORD_URL}))
    assert load().ledger_url == SHOWN_URL
    assert keys.ledger_password() == keys.Key("s@cret", "file")
    keys.set_key(keys.LEDGER, "stored")
    assert keys.ledger_password() == keys.Key("stored", "file")
    monkeypatch.setenv("SKYPORT_LEDGER_PASSWORD", "of its own")
    monkeypatch.setenv("SKYPORT_LEDGER_URL", PASSWORD_URL)
    assert load().ledger_url == SHOWN_URL
    assert keys.ledger_password() == keys.Key("s@cret", "environment")


def test_a_password_is_not_saved_among_the_settings():
    with pytest.raises(InvalidInput, match="keys set ledger") as refused:
        save({"ledger_url": PASSWORD_URL})
    assert "cret" not in str(refused.value)
    assert save({"ledger_url": SHOWN_URL}).ledger_url == SHOWN_URL


@pytest.mark.parametrize("url", ["mysql://db.example/x", "db.example", "postgresql://", 7])
def test_what_is_no_address_of_postgresql_is_refused(url):
    with pytest.raises(InvalidInput, match="postgresql://user@host/database"):
        save({"ledger_url": url})
