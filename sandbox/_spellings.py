"""Spellings that are in no document: of ids, addresses, reasons, progress and text.

An answer of the platform is rebuilt with one thing in another position or form.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ._body import Refusal
from ._tasks import Made

Tree = Any
ALIAS = "/~"  # begins a path segment that means nothing
_STATUS = ("status", "task_status", "state")
_IDS = ("task_id", "prompt_id", "taskid", "id")
_DEPTH = 30

# -- ids: (the platform's name of it, the id) -> the answer to a submit ---------------------------

_WHOLE_IDS: Mapping[str, Callable[[str, Any], Tree]] = {
    "id_nested": lambda key, id: {"data": {"task": {"id": id}}},
    "id_listed": lambda key, id: {"data": [{key: id}]},
    "id_bare": lambda key, id: {"code": "success", "message": "", "data": id},
    "id_ok": lambda key, id: {"status": "ok", "data": {key: id}},
    "id_code_word": lambda key, id: {"code": "success", "data": {key: id}},
    "id_code_200": lambda key, id: {"code": 200, "message": "success", "data": {key: id}},
    "id_code_flat": lambda key, id: {"code": 200, "message": "success", key: id},
    "id_beside_error": lambda key, id: {"code": 1, "message": "busy, queued", "data": {key: id}},
}
# Those that the platform must know again when it is asked.
_ALIASES = ("id_number", "id_long")

# -- addresses: what the address of one result becomes --------------------------------------------

_ADDRESSES: Mapping[str, Callable[[str], str]] = {
    "url_relative": lambda url: urlsplit(url)._replace(scheme="", netloc="").geturl(),
    "url_no_scheme": lambda url: url.partition(":")[2],
    "url_upper_scheme": lambda url: url.replace("http:", "HTTP:", 1),
    "url_padded": lambda url: f" {url}\n",
    "url_space": lambda url: _under(url, "a picture"),
    "url_chinese": lambda url: _under(url, "\u56fe\u7247"),
}

# -- addresses: where all of them are ------------------------------------------------------------

_POSITIONS: Mapping[str, Callable[[Sequence[str]], dict[str, Tree]]] = {
    "url_content": lambda urls: {"content": {"video_url": _one(urls)}},
    "url_images": lambda urls: {"images": [{"url": url} for url in urls]},
    "url_videos": lambda urls: {"videos": [{"url": url} for url in urls]},
    "url_outputs": lambda urls: {"outputs": list(urls)},
    "url_data": lambda urls: {"data": [{"url": url} for url in urls]},
    "url_result": lambda urls: {"result": {"video_url": _one(urls)}},
    "url_plain": lambda urls: {"url": _one(urls)},
    "url_json_text": lambda urls: {"resultJson": json.dumps({"resultUrls": list(urls)})},
    "url_twice": lambda urls: {"url": urls[0], "urls": [*urls, *urls]},
    "url_deep": lambda urls: {"output": _nested(list(urls))},
}

# -- reasons, progress, text ----------------------------------------------------------------------

_REASONS: Mapping[str, Callable[[str], dict[str, Tree]]] = {
    "reason_error_message": lambda words: {"error_message": words},
    "reason_failure_reason": lambda words: {"failure_reason": words},
    "reason_detail": lambda words: {"detail": words},
    "reason_details": lambda words: {"detail": [{"loc": ["body"], "msg": words}]},
    "reason_fail_msg": lambda words: {"err_code": "E1001", "fail_msg": words},
    "reason_err_code": lambda words: {"err_code": words},
    "reason_error": lambda words: {"error": {"code": "E1001", "message": words}},
    "reason_python": lambda words: {"error": str({"error": {"message": words}})},
}
_PROGRESS: Mapping[str, Callable[[int], Any]] = {
    "progress_percent": lambda percent: f"{percent}%",
    "progress_share": lambda percent: percent / 100,
    "progress_share_text": lambda percent: str(percent / 100),
}
_TEXTS: Mapping[str, Callable[[str], str]] = {
    "text_halves": lambda words: f"{words} \ud83d\ude0a",
    "text_lone": lambda words: f"{words} \ud83d",
    "text_nul": lambda words: f"{words} \x00",
}
# Shown here, because they need the platform or a file.
_SPECIAL = ("id_camel", "id_text", *_ALIASES, "url_object", "url_data_url")

SPELLINGS = tuple(
    sorted([*_WHOLE_IDS, *_ADDRESSES, *_POSITIONS, *_REASONS, *_PROGRESS, *_TEXTS, *_SPECIAL])
)


def names(setting: Mapping[str, Any] | None) -> list[str]:
    """The spellings that a twist asks for. Raises Refusal for one that is not known."""
    asked = [name.strip() for name in setting["name"].split(",")] if setting else []
    for name in asked:
        if name not in SPELLINGS:
            raise Refusal(400, f"Unknown spelling {name!r}; known: {', '.join(SPELLINGS)}.")
    return asked


def moves_results(asked: Sequence[str]) -> bool:
    """Whether the results are somewhere else than the platform has them."""
    return any(name in _POSITIONS for name in asked)


# -- submits ---------------------------------------------------------------------------------------


def spell_id(tree: Tree, asked: Sequence[str], alias: Callable[[str, Any], Any]) -> Tree:
    """The answer to a submit; `alias` makes another id for the task's, and remembers it."""
    holder, key = _holder(tree, _IDS)
    for name in asked if key else ():
        if name in _ALIASES:
            holder[key] = alias(name, holder[key])
        if name == "id_text":
            holder[key] = str(holder[key])
        if name == "id_camel":
            holder["taskId"] = holder.pop(key)
        if name in _WHOLE_IDS:
            tree = _WHOLE_IDS[name](key, holder[key])
    return tree


# -- polls -----------------------------------------------------------------------------------------


def spell_word(tree: Tree, word: str) -> Tree:
    """The answer to a poll with this status."""
    holder, key = _holder(tree, _STATUS)
    if key:
        holder[key] = word
    return tree


def spell_progress(tree: Tree, asked: Sequence[str], percent: int) -> Tree:
    holder, key = _holder(tree, _STATUS)
    for name in (each for each in asked if each in _PROGRESS and key):
        progress = holder.get("progress")
        inner, field = (
            (progress, "total_progress") if isinstance(progress, dict) else (holder, "progress")
        )
        inner[field] = _PROGRESS[name](percent)
    return tree


def spell_reason(tree: Tree, asked: Sequence[str], reasons: Sequence[str]) -> Tree:
    """reasons: what the platform's own answer may say, the whole reason first."""
    words = reasons[0]
    for name in (each for each in asked if each in _TEXTS):
        words = _TEXTS[name](words)
    places = [name for name in asked if name in _REASONS]
    stays = "" if places else words
    tree = _replaced(tree, {reason: stays for reason in reasons if reason})
    holder, _ = _holder(tree, _STATUS)
    for name in places:
        holder.update(_REASONS[name](words))
    return tree


def spell_results(
    tree: Tree, asked: Sequence[str], made: Sequence[tuple[Made, str]], shown: Sequence[str]
) -> Tree:
    """made: each result with its full address; shown: the addresses that move."""
    holder, _ = _holder(tree, _STATUS)
    for name in (each for each in asked if each in _POSITIONS):
        holder.update(_POSITIONS[name](shown))
    addresses = {url: url for _, url in made} | {one.address: url for one, url in made}
    if "url_object" in asked:
        tree = _objects(tree, set(addresses))
    for name in asked:
        if name == "url_data_url":
            files = {each: one for one, url in made for each in (url, one.address)}
            tree = _replaced(tree, {each: _data_url(one) for each, one in files.items()})
        if name in _ADDRESSES:
            spelled = {each: _ADDRESSES[name](url) for each, url in addresses.items()}
            tree = _replaced(tree, spelled)
    return tree


def spell_text(words: str, asked: Sequence[str]) -> str:
    """`words` as a chat says them."""
    for name in (each for each in asked if each in _TEXTS):
        words = _TEXTS[name](words)
    return words


# -- trees -----------------------------------------------------------------------------------------


def _holder(tree: Tree, keys: Sequence[str]) -> tuple[dict[str, Tree], str]:
    """The nearest object that has one of `keys`, and which; ({}, "") without one."""
    level = [tree]
    while level:
        for each in (one for one in level if isinstance(one, dict)):
            if key := next((key for key in keys if key in each), ""):
                return each, key
        level = [child for one in level for child in _children(one)]
    return {}, ""


def _children(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, dict):
        yield from tree.values()
    elif isinstance(tree, list):
        yield from tree


def _replaced(tree: Tree, texts: Mapping[str, str]) -> Tree:
    """`tree` with these texts in place of others."""
    if isinstance(tree, dict):
        return {key: _replaced(value, texts) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_replaced(value, texts) for value in tree]
    return texts.get(tree, tree) if isinstance(tree, str) else tree


def _objects(tree: Tree, addresses: set[str]) -> Tree:
    """`tree` with an object in place of every address, and of every list of results."""
    if isinstance(tree, dict):
        return {key: _objects(value, addresses) for key, value in tree.items()}
    if isinstance(tree, list) and any(_has(value, addresses) for value in tree):
        items = [_objects(value, addresses) for value in tree]
        return items[0] if len(items) == 1 else {str(at): item for at, item in enumerate(items)}
    return {"url": tree} if isinstance(tree, str) and tree in addresses else tree


def _has(tree: Tree, addresses: set[str]) -> bool:
    if isinstance(tree, str):
        return tree in addresses
    return any(_has(child, addresses) for child in _children(tree))


def _one(urls: Sequence[str]) -> Tree:
    return urls[0] if len(urls) == 1 else list(urls)


def _nested(tree: Tree) -> Tree:
    for _ in range(_DEPTH):
        tree = {"item": tree}
    return tree


def _under(url: str, name: str) -> str:
    """The same file under a path with `name` in it, as it is."""
    head, rest = url.split("/", 4)[:4], url.split("/", 4)[4]
    return f"{'/'.join(head)}{ALIAS}{name}/{rest}"


def _data_url(made: Made) -> str:
    data = base64.b64encode(made.file.path.read_bytes()).decode()
    if "bad_data" in made.file.twists:
        data = f"{data[:-1]}%"
    return f"data:{made.file.mime};base64,{data}"
