"""Pins that a model once offered stays offered, and that asking for models is instant."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyport import providers
from skyport.engine.base.errors import AuthRejected, BadResult, InvalidInput, SkyportError
from skyport.engine.base.types import Json, Model, Param
from skyport.engine.http.client import Http
from skyport.engine.platforms.catalogue import Catalogue, Refreshed, realm_of
from skyport.engine.platforms.provider import Provider
from skyport.providers import names, provider_class
from virtual import Play

CASES = itertools.count()


class Shop(Provider):
    """Offers what a test says: `listed` rows, `details` by id, errors where a detail is one."""

    name = "shop"
    label = "Shop"
    listed: ClassVar[list[Json]] = []
    details: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        return [{"id": "old", "task": "draw", "params": ["prompt"]}]

    def list_rows(self) -> list[Json]:
        self.asked.append("list")
        return self.listed

    def complete_row(self, row: Json) -> Json:
        self.asked.append(row["id"])
        detail = self.details.get(row["id"], {})
        if isinstance(detail, SkyportError):
            raise detail
        return {**row, **detail}

    @classmethod
    def read_row(cls, row: Json) -> Model:
        params = tuple(Param(name, "text") for name in row.get("params", []))
        retired = bool(row.get("retired"))
        return Model("shop", row["id"], row["task"], params=params, retired=retired)


@pytest.fixture
def shop() -> type[Shop]:
    Shop.listed, Shop.details, Shop.asked = [], {}, []
    return Shop


def catalogue(realm: str = "") -> Catalogue:
    return Catalogue(Shop, realm)


def refresh(into: Catalogue, *ids: str) -> Refreshed:
    """Refresh while the platform offers the models `ids`."""
    Shop.listed = [{"id": name, "task": "draw"} for name in ids]
    with Play() as play:
        return play.run(into.refresh(Shop(Http("Shop", "http://127.0.0.1:1", {})), play.engine))


def offered(from_: Catalogue) -> list[str]:
    return [f"{m.id}{' (retired)' if m.retired else ''}" for m in from_.models()]


# -- growing only ---------------------------------------------------------------------------


def test_built_in_models_work_before_anyone_was_asked(shop: type[Shop]) -> None:
    fresh = catalogue()
    assert offered(fresh) == ["old"]
    assert fresh.age() is None
    assert shop.asked == []


def test_a_model_that_is_no_longer_listed_stays_as_retired(shop: type[Shop]) -> None:
    models = catalogue()
    first = refresh(models, "a", "b")
    assert first.added == ("a (draw)", "b (draw)")
    assert first.retired == ("old (draw)",)
    assert offered(models) == ["a", "b", "old (retired)"]
    refresh(models, "b", "c")
    assert offered(models) == ["b", "c", "a (retired)", "old (retired)"]
    assert refresh(models, "a").added == ()
    assert offered(models)[0] == "a"


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), max_size=5))
def test_whatever_is_listed_over_time_nothing_ever_vanishes(lists: list[list[str]]) -> None:
    Shop.details = {}
    models, seen = catalogue(f"case{next(CASES)}"), {"old"}
    for listed in lists:
        refresh(models, *listed)
        seen.update(listed)
        assert {model.id for model in models.models()} == seen
        assert {m.id for m in models.models() if not m.retired} == set(listed)


def test_an_empty_list_is_not_believed(shop: type[Shop]) -> None:
    models = catalogue()
    refresh(models, "a")
    with pytest.raises(BadResult, match="Shop: The platform lists no models"):
        refresh(models)
    assert offered(models) == ["a", "old (retired)"]


def test_a_model_whose_details_cannot_be_had_keeps_those_known(shop: type[Shop]) -> None:
    models = catalogue()
    shop.details = {"a": {"params": ["prompt"]}}
    refresh(models, "a")
    shop.details = {"a": BadResult("a page came"), "new": BadResult("a page came")}
    answer = refresh(models, "a", "new", "b")
    assert answer.unread == ("a (draw): a page came", "new (draw): a page came")
    assert [(m.id, len(m.params)) for m in models.models()][:3] == [("a", 1), ("new", 0), ("b", 0)]


def test_a_refresh_that_fails_keeps_what_was_known(shop: type[Shop]) -> None:
    models = catalogue()
    refresh(models, "a")
    before = offered(models)

    class Closed(Shop):
        def list_rows(self) -> list[Json]:
            raise AuthRejected("wrong key", status=401)

    with Play() as play, pytest.raises(AuthRejected):
        play.run(models.refresh(Closed(Http("Shop", "http://127.0.0.1:1", {})), play.engine))
    assert offered(models) == before


def test_models_that_cannot_be_kept_are_an_error_of_ours(shop: type[Shop], home: Path) -> None:
    (home / "catalogue").write_text("a file in the way")
    models = catalogue()
    with pytest.raises(InvalidInput, match="catalogue"):
        refresh(models, "a")
    assert [path.name for path in home.iterdir()] == ["catalogue"]


def test_text_that_is_no_unicode_is_kept_as_it_came(shop: type[Shop]) -> None:
    refresh(catalogue(), "a\ud83d")
    assert "a\ud83d" in [model.id for model in catalogue().models()]


def test_details_are_asked_for_side_by_side(shop: type[Shop]) -> None:
    Shop.listed = [{"id": str(n), "task": "draw"} for n in range(12)]
    with Play(takes=1.0) as play:
        began = play.loop.time()
        provider = Shop(Http("Shop", "http://127.0.0.1:1", {}))
        play.run(catalogue().refresh(provider, play.engine))
        assert play.engine.busiest == 4
        assert play.loop.time() - began == pytest.approx(4.0)


# -- the cache ------------------------------------------------------------------------------


def test_models_are_kept_for_the_next_process_in_the_platforms_own_words(
    shop: type[Shop], home: Path
) -> None:
    shop.details = {"a": {"params": ["prompt"], "unknown to us": {"x": 1}}}
    refresh(catalogue(), "a")
    stored = json.loads((home / "catalogue" / "shop.json").read_text(encoding="utf-8"))
    assert stored[0] == {
        "id": "a",
        "task": "draw",
        "params": ["prompt"],
        "unknown to us": {"x": 1},
    }
    assert offered(catalogue()) == ["a", "old (retired)"]
    age = catalogue().age()
    assert age is not None
    assert age < 60


@pytest.mark.parametrize(
    "content", ["", "{broken", "{}", '[5, null, {"id": 1}, {"task": "draw"}, {"params": 5}]']
)
def test_a_broken_cache_is_as_good_as_none(shop: type[Shop], home: Path, content: str) -> None:
    (home / "catalogue").mkdir()
    (home / "catalogue" / "shop.json").write_text(content, encoding="utf-8")
    assert offered(catalogue()) == ["old"]


def test_what_another_process_found_is_seen(shop: type[Shop], home: Path) -> None:
    now = [0.0]
    mine = Catalogue(Shop, "", clock=lambda: now[0])
    assert offered(mine) == ["old"]
    refresh(catalogue(), "a")
    now[0] = 1.5
    assert offered(mine) == ["a", "old (retired)"]


def test_the_disk_is_not_asked_for_every_widget(shop: type[Shop], home: Path) -> None:
    models = catalogue()
    refresh(models, "a")
    models.models()
    os.remove(home / "catalogue" / "shop.json")
    assert [models.models() for _ in range(100)][-1][0].id == "a"


def test_models_of_one_task_can_be_had(shop: type[Shop]) -> None:
    models = catalogue()
    refresh(models, "a")
    assert models.models("draw") == models.models()
    assert models.models("sing") == ()


# -- places ---------------------------------------------------------------------------------


def test_places_do_not_mix(shop: type[Shop]) -> None:
    refresh(catalogue("here"), "a")
    assert offered(catalogue("there")) == ["old"]
    assert offered(catalogue("here")) == ["a", "old (retired)"]


def test_the_platforms_own_address_is_no_other_place() -> None:
    assert realm_of("https://art.huya.info/", "https://art.huya.info") == ""
    other = realm_of("http://127.0.0.1:9/haiyi", "https://art.huya.info")
    assert other not in ("", realm_of("http://127.0.0.1:8/haiyi", "https://art.huya.info"))


# -- platforms ------------------------------------------------------------------------------


def knows_models(platform: str) -> bool:
    return "read_row" in vars(provider_class(platform))


def test_only_hosted_workflows_and_own_servers_run_nothing_but_workflows() -> None:
    assert [platform for platform in names() if not knows_models(platform)] == [
        "comfyui",
        "gpugeek",
    ]


@pytest.mark.parametrize("platform", [name for name in names() if knows_models(name)])
def test_every_platform_has_models_without_a_network(platform: str) -> None:
    kind = provider_class(platform)
    rows = kind.built_in_rows()
    assert rows
    assert kind.name == platform
    assert all(kind.read_row(row).platform == platform for row in rows)
    assert len({(m.id, m.task) for m in map(kind.read_row, rows)}) == len(rows)


def test_platforms_are_found_by_their_modules() -> None:
    assert "haiyi" in names()
    assert not [name for name in names() if name.startswith("_")]
    with pytest.raises(InvalidInput, match=r"The platforms are: .*haiyi"):
        provider_class("nowhere")


def test_the_sandbox_keeps_models_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> Catalogue:
        return providers.catalogue("haiyi")

    real = ask()
    monkeypatch.setenv("SKYPORT_SANDBOX", "1")
    assert ask() is not real
    monkeypatch.setenv("SKYPORT_SANDBOX", "0")
    assert ask() is real
    monkeypatch.setenv("HAIYI_BASE_URL", "http://127.0.0.1:9")
    assert ask() is not real
