"""Pins where keys come from and are kept, and that no way of showing one shows it."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from processes import python_path
from skyport import cli
from skyport.engine.base.errors import InvalidInput, MissingKey
from skyport.engine.settings import folders, json_file, keys, settings
from skyport.providers import names

POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
SECRET = "sk-0123456789abcdefWXYZ"


def stored(home: Path) -> dict[str, str]:
    return json.loads((home / "keys.json").read_text(encoding="utf-8"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


SETTER = """
from skyport.engine.settings import keys, settings
for number in range(20):
    keys.set_key(f"{name}-{number}", "0123456789abcdef")
    settings.save({"base_urls": {f"{name}-{number}": "http://127.0.0.1:1"}})
"""


def test_processes_that_set_keys_and_addresses_at_once_lose_none(home: Path):
    setters = [
        subprocess.Popen([sys.executable, "-c", f"name = {name!r}\n{SETTER}"], env=python_path())
        for name in ("one", "other", "third")
    ]
    assert [setter.wait(PATIENCE) for setter in setters] == [0, 0, 0]
    assert len(stored(home)) == len(settings.load().base_urls) == 60
    assert sorted(path.name for path in home.iterdir()) == ["keys.json", "settings.json"]


def test_a_lock_that_a_dead_process_left_does_not_last(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "keys.json.lock").write_text("")
    monkeypatch.setattr(json_file, "LOCK_PATIENCE", 0.01)
    keys.set_key("haiyi", SECRET)
    assert stored(home) == {"haiyi": SECRET}
    assert not (home / "keys.json.lock").exists()


# -- where a key comes from ---------------------------------------------------------------------


def test_there_is_no_key_until_one_is_set():
    assert keys.find("haiyi") is None


def test_the_environment_wins_over_the_file(monkeypatch):
    keys.set_key("haiyi", "from-the-file")
    monkeypatch.setenv("HAIYI_API_KEY", " from-the-environment\n")
    assert keys.find("haiyi") == keys.Key("from-the-environment", "environment")
    monkeypatch.setenv("HAIYI_API_KEY", "  ")
    assert keys.find("haiyi") == keys.Key("from-the-file", "file")


def test_a_key_set_outside_of_comfyui_is_found_inside_of_it(monkeypatch, tmp_path):
    monkeypatch.delenv("SKYPORT_HOME")
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    keys.set_key("haiyi", "set-by-the-command")
    folders.use_home(tmp_path / "comfyui" / "__skyport")
    assert keys.find("haiyi") == keys.Key("set-by-the-command", "file")
    keys.set_key("haiyi", "set-in-comfyui")
    assert keys.find("haiyi") == keys.Key("set-in-comfyui", "file")


def test_skyport_home_once_set_is_the_only_place_for_keys(monkeypatch, tmp_path):
    named = os.environ["SKYPORT_HOME"]
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("SKYPORT_HOME")
    keys.set_key("haiyi", "the-users-own")
    keys.set_s3("the-users-own-access", "the-users-own-secret")
    assert keys.find("haiyi") == keys.Key("the-users-own", "file")
    monkeypatch.setenv("SKYPORT_HOME", named)
    assert keys.find("haiyi") is None
    assert keys.s3() is None
    assert keys.listing(["haiyi"]) == {"haiyi": None}


def test_a_missing_key_tells_every_way_to_set_it():
    with pytest.raises(MissingKey) as caught:
        keys.require("haiyi", "HaiYi", "Keys are made on its page.")
    message = str(caught.value)
    for way in ("HAIYI_API_KEY", "skyport keys set haiyi"):
        assert way in message
    assert message.startswith("HaiYi: ")
    assert message.endswith("Keys are made on its page.")


def test_a_key_that_is_there_satisfies_require():
    keys.set_key("haiyi", SECRET)
    assert keys.require("haiyi", "HaiYi").value == SECRET


# -- keeping ------------------------------------------------------------------------------------


@POSIX
def test_the_file_is_closed_to_others(home):
    keys.set_key("haiyi", SECRET)
    assert mode(home / "keys.json") == 0o600


def test_spaces_around_a_pasted_key_are_dropped(home):
    keys.set_key("haiyi", f"\t {SECRET}\r\n")
    assert stored(home) == {"haiyi": SECRET}


@pytest.mark.parametrize(
    "pasted",
    [
        *('"{}"', "'{}'", "`{}`", "<{}>", "\u201c{}\u201d", "\u2018{}\u2019", '"{}', "{}'", "{};"),
        *("Bearer {}", "bearer  {}", "Authorization: Bearer {}", "x-api-key: {}", "token={}"),
        *("HAIYI_API_KEY={}", "HAIYI_API_KEY = '{}'", "MY_ACCOUNT={}", 'api_key: "{}",'),
        *('export HAIYI_API_KEY="{}"', "set HAIYI_API_KEY={}", 'setx HAIYI_API_KEY "{}"'),
        *('$env:HAIYI_API_KEY = "{}"', '"api_key": "{}",', 'HAIYI_API_KEY="Bearer {}"'),
        *("\ufeff{}\u200b", "\u200b <\u00a0{}\u3000> \n", "\u202a{}\u202c", "\u2060\u00ad{}"),
    ],
)
@pytest.mark.parametrize("key", [SECRET, "c2VjcmV0LWtleQ==", "SECRET0KEY=", "mF_9.B5f-4.1JqM"])
def test_what_is_pasted_around_a_key_is_dropped_wherever_it_is_set(
    home, monkeypatch, pasted: str, key: str
):
    text = pasted.format(key)
    assert keys.set_key("haiyi", text).value == key
    assert stored(home) == {"haiyi": key}
    monkeypatch.setenv("GPUGEEK_API_KEY", text)
    assert keys.find("gpugeek") == keys.Key(key, "environment")


@pytest.mark.parametrize(
    "key", ["AKIA:SECRET", "a=b", "ABC==", "ABC=", "key-1", "bearer-1", "a/+b"]
)
def test_a_key_that_only_looks_wrapped_stays_as_it_is(key):
    assert keys.set_key("haiyi", key).value == key


@pytest.mark.parametrize(
    "value",
    [
        *("", "  ", "two words", "a\nb", "a\x00b", "a\x7fb", "\u5bc6\u94a5", "\uff21\uff22"),
        *("Bearer", "''", "\u200b", "HAIYI_API_KEY=", "export HAIYI_API_KEY=", "Bearer two words"),
    ],
)
def test_what_no_header_can_carry_is_refused_and_the_old_key_stays(home, value):
    keys.set_key("haiyi", SECRET)
    with pytest.raises(InvalidInput, match="haiyi"):
        keys.set_key("haiyi", value)
    assert stored(home) == {"haiyi": SECRET}


def test_removing_takes_one_key_and_says_whether_there_was_one(home):
    keys.set_key("haiyi", SECRET)
    keys.set_key("gpugeek", "other")
    assert keys.remove("haiyi") is True
    assert keys.remove("haiyi") is False
    assert stored(home) == {"gpugeek": "other"}


def test_the_listing_holds_every_platform_with_or_without_a_key(monkeypatch):
    assert keys.listing(names()) == dict.fromkeys(names())
    monkeypatch.setenv("HAIYI_API_KEY", SECRET)
    assert keys.listing(names()) == {
        **dict.fromkeys(names()),
        "haiyi": keys.Key(SECRET, "environment"),
    }


def test_a_key_of_the_wrong_kind_in_the_file_is_told_by_file_and_platform(home):
    (home / "keys.json").write_text(json.dumps({"haiyi": ["a"]}))
    with pytest.raises(InvalidInput, match=r"keys\.json: haiyi"):
        keys.find("haiyi")


def test_a_variable_that_cannot_be_a_key_is_told_by_its_name_only(monkeypatch):
    monkeypatch.setenv("HAIYI_API_KEY", "half-a-secret other-half")
    with pytest.raises(InvalidInput, match="HAIYI_API_KEY") as caught:
        keys.find("haiyi")
    assert "secret" not in str(caught.value)


def test_a_broken_file_is_told_without_what_it_holds(home):
    (home / "keys.json").write_text('{"haiyi": "' + SECRET)
    with pytest.raises(InvalidInput, match=r"keys\.json") as caught:
        keys.find("haiyi")
    assert SECRET not in str(caught.value)


@POSIX
def test_a_file_open_to_others_is_closed_and_the_user_is_warned(home, caplog):
    keys.set_key("haiyi", SECRET)
    (home / "keys.json").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert keys.find("haiyi") == keys.Key(SECRET, "file")
    assert mode(home / "keys.json") == 0o600
    assert "keys.json was readable by others" in caplog.text
    assert SECRET not in caplog.text


@POSIX
def test_a_private_file_warns_nobody(caplog):
    keys.set_key("haiyi", SECRET)
    keys.find("haiyi")
    assert caplog.text == ""


# -- the two keys of a bucket -------------------------------------------------------------------

ACCESS = "AKIA0123456789ABCDEF"
BOTH = {"s3_access_key": ACCESS, "s3_secret_key": SECRET}


def test_a_buckets_keys_are_kept_together_and_forgotten_together(home):
    keys.set_key("haiyi", "other")
    assert keys.s3() is None
    assert keys.set_s3(f" {ACCESS}\n", SECRET).masked() == "...CDEF"
    assert stored(home) == {"haiyi": "other", **BOTH}
    assert keys.s3() == (keys.Key(ACCESS, "file"), keys.Key(SECRET, "file"))
    assert (keys.remove_s3(), keys.remove_s3()) == (True, False)
    assert stored(home) == {"haiyi": "other"}


def test_a_buckets_variables_win_over_the_file(monkeypatch):
    keys.set_s3("access-of-the-file", "secret-of-the-file")
    monkeypatch.setenv("SKYPORT_S3_ACCESS_KEY", ACCESS)
    monkeypatch.setenv("SKYPORT_S3_SECRET_KEY", SECRET)
    assert keys.s3() == (keys.Key(ACCESS, "environment"), keys.Key(SECRET, "environment"))
    assert keys.s3_variables() == ("SKYPORT_S3_ACCESS_KEY", "SKYPORT_S3_SECRET_KEY")


def test_half_of_a_buckets_keys_is_refused_and_never_paired_with_another(home, monkeypatch):
    keys.set_s3(ACCESS, SECRET)
    monkeypatch.setenv("SKYPORT_S3_ACCESS_KEY", "access-of-the-environment")
    with pytest.raises(InvalidInput, match="SKYPORT_S3_SECRET_KEY") as caught:
        keys.s3()
    assert SECRET not in str(caught.value)
    monkeypatch.delenv("SKYPORT_S3_ACCESS_KEY")
    (home / "keys.json").write_text(json.dumps({"s3_secret_key": SECRET}))
    with pytest.raises(InvalidInput, match="skyport keys set s3"):
        keys.s3()


@pytest.mark.parametrize(("access", "secret"), [("", SECRET), (ACCESS, ""), (ACCESS, "two words")])
def test_a_bad_half_keeps_neither(home, access, secret):
    with pytest.raises(InvalidInput):
        keys.set_s3(access, secret)
    assert not (home / "keys.json").exists()


def typed_keys(capsys: Any, monkeypatch: Any, *argv: str, typed: str = "") -> tuple[int, str]:
    """Exit code and everything said by `skyport keys ...`."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    try:
        code = cli.main(["keys", *argv])
    except SystemExit as left:
        code = int(left.code or 0)
    output = capsys.readouterr()
    return code, output.out + output.err


def test_the_command_asks_for_both_keys_of_a_bucket_and_shows_neither(capsys, monkeypatch):
    saved = typed_keys(capsys, monkeypatch, "set", "s3", typed=f"{ACCESS}\n{SECRET}\n")
    assert keys.s3() == (keys.Key(ACCESS, "file"), keys.Key(SECRET, "file"))
    listed = typed_keys(capsys, monkeypatch, "list")
    assert re.search(r"s3 +\.\.\.CDEF +keys\.json", listed[1])
    monkeypatch.setenv("SKYPORT_S3_ACCESS_KEY", ACCESS)
    removed = typed_keys(capsys, monkeypatch, "remove", "s3")
    assert "SKYPORT_S3_ACCESS_KEY still sets one." in removed[1]
    monkeypatch.delenv("SKYPORT_S3_ACCESS_KEY")
    assert [code for code, _ in (saved, listed, removed)] == [0, 0, 0]
    assert keys.s3() is None
    assert re.search(r"s3 +not set", typed_keys(capsys, monkeypatch, "list")[1])
    assert SECRET not in saved[1] + listed[1] + removed[1]


def test_the_command_keeps_nothing_of_half_a_pair(capsys, monkeypatch):
    code, output = typed_keys(capsys, monkeypatch, "set", "s3", typed=f"{ACCESS}\n")
    assert (code, keys.s3()) == (1, None)
    assert ACCESS not in output
    assert typed_keys(capsys, monkeypatch, "set", "s4")[0] == 2


# -- showing ------------------------------------------------------------------------------------


def test_a_long_key_shows_its_end_and_a_short_one_nothing():
    assert keys.Key(SECRET, "file").masked() == "...WXYZ"
    assert keys.Key("short-key", "file").masked() == "..."


@pytest.mark.parametrize("show", [str, repr, "{}".format, "%s".__mod__, lambda key: str([key])])
def test_no_way_of_printing_a_key_shows_it(show):
    assert show(keys.Key(SECRET, "file")).strip("[]") == "Key(...WXYZ, file)"


def test_a_refused_key_is_not_in_the_refusal():
    with pytest.raises(InvalidInput) as caught:
        keys.set_key("haiyi", f"{SECRET} {SECRET}")
    assert SECRET not in str(caught.value)


# -- addresses ----------------------------------------------------------------------------------


def test_an_address_comes_from_the_environment_then_the_settings_then_the_platform(monkeypatch):
    def asked() -> str:
        return keys.base_url("haiyi", "HaiYi", "https://haiyi.example/")

    assert asked() == "https://haiyi.example"
    settings.save({"base_urls": {"haiyi": "http://127.0.0.1:1/api/"}})
    assert asked() == "http://127.0.0.1:1/api"
    monkeypatch.setenv("HAIYI_BASE_URL", "http://127.0.0.1:2/")
    assert asked() == "http://127.0.0.1:2"


def test_a_platform_without_any_address_says_how_to_set_one():
    with pytest.raises(InvalidInput, match=r"^HappyHorse: .*HAPPYHORSE_BASE_URL"):
        keys.base_url("happyhorse", "HappyHorse")


def test_a_variable_that_is_no_address_is_told_by_its_name(monkeypatch):
    monkeypatch.setenv("HAIYI_BASE_URL", "haiyi.example")
    with pytest.raises(InvalidInput, match="HAIYI_BASE_URL must be an address"):
        keys.base_url("haiyi", "HaiYi", "https://haiyi.example")
