"""Checks a ComfyUI workflow in API format and makes its outputs.

`run` computes the few node classes in `_COMPUTED` for real and draws what any other saver would
have saved. To execute more of a graph, add the class there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from ._body import Refusal
from ._draw import Order
from ._faults import unmarked
from ._files import StoredFile
from ._film import draw

Prompt = Mapping[str, Mapping[str, Any]]
Files = Mapping[str, StoredFile]

SAVERS = {
    **dict.fromkeys(("SaveImage", "PreviewImage", "SaveAnimatedWEBP", "SaveAnimatedPNG"), "image"),
    **dict.fromkeys(("SaveVideo", "SaveWEBM", "VHS_VideoCombine"), "video"),
    **dict.fromkeys(("SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "PreviewAudio"), "audio"),
}
LOADERS = {
    "LoadImage": ("image", "image"),
    "LoadImageMask": ("image", "image"),
    "LoadVideo": ("file", "video"),
    "VHS_LoadVideo": ("video", "video"),
    "VHS_LoadVideoFFmpeg": ("video", "video"),
    "LoadAudio": ("audio", "audio"),
    "VHS_LoadAudioUpload": ("audio", "audio"),
}
_SOUND_FILES = ("audio/", "video/")


@dataclass(frozen=True)
class Saved:
    """What one saver node saved."""

    node_id: str
    title: str
    prefix: str
    path: Path


def check(prompt: Any, files: Files) -> None:
    """Raises Refusal (400) unless `prompt` is an API-format workflow that can run here."""
    if not isinstance(prompt, dict) or not prompt:
        raise Refusal(400, "parameters.prompt must be a workflow in API format.")
    if isinstance(prompt.get("nodes"), list):
        raise Refusal(400, "This is a workflow for the editor: export it in API format.")
    for node_id, node in prompt.items():
        _check_shape(node_id, node)
    for node_id, node in prompt.items():
        _check_links(node_id, node["inputs"], prompt)
        _check_loader(node_id, node, files)
    if not _savers(prompt):
        raise Refusal(400, "Prompt has no outputs: the workflow saves nothing.")


def steps(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """(node id, title) of the nodes the outputs need, inputs before what uses them."""
    order: dict[str, None] = {}
    for node_id in _savers(prompt):
        _walk(prompt, node_id, order)
    return tuple((node_id, _title(prompt[node_id])) for node_id in order)


def run(prompt: Prompt, files: Files, new_path: Callable[[], Path]) -> Iterator[Saved]:
    """What the workflow saves. `files` are the uploads by name."""
    for node_id in _savers(prompt):
        node = prompt[node_id]
        path = _computed(prompt, node, files, new_path) or draw(
            _order(prompt, node_id, files), new_path()
        )
        prefix = str(node["inputs"].get("filename_prefix", "ComfyUI"))
        yield Saved(node_id, _title(node), prefix, path)


def _check_shape(node_id: str, node: Any) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        raise Refusal(400, f"Node {node_id!r} has no class_type: not a workflow in API format.")
    if not isinstance(node.get("inputs"), dict):
        raise Refusal(400, f"Node {node_id!r} has no inputs: not a workflow in API format.")
    for key in node:
        if key not in ("class_type", "inputs", "_meta"):
            raise Refusal(400, f"Node {node_id!r} has an unknown field {key!r}.")


def _check_links(node_id: str, inputs: Mapping[str, Any], prompt: Prompt) -> None:
    for name, value in inputs.items():
        if _is_link(value) and value[0] not in prompt:
            raise Refusal(400, f"Node {node_id}.{name} is linked to node {value[0]!r}: none such.")


def _check_loader(node_id: str, node: Mapping[str, Any], files: Files) -> None:
    if node["class_type"] not in LOADERS:
        return
    name, kind = LOADERS[node["class_type"]]
    value = node["inputs"].get(name)
    if _is_link(value):
        return
    file = files.get(value) if isinstance(value, str) else None
    if not file:
        raise Refusal(400, f"Node {node_id}.{name}: no file {value!r} was uploaded.")
    if file.kind != kind and not (kind == "audio" and file.mime.startswith(_SOUND_FILES)):
        raise Refusal(400, f"Node {node_id}.{name} must be {kind}; {value!r} is {file.mime}.")


def _savers(prompt: Prompt) -> list[str]:
    return [node_id for node_id, node in prompt.items() if node["class_type"] in SAVERS]


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and type(value[1]) is int
    )


def _title(node: Mapping[str, Any]) -> str:
    meta = node.get("_meta")
    return str((meta.get("title") if isinstance(meta, dict) else None) or node["class_type"])


def _walk(prompt: Prompt, node_id: str, order: dict[str, None]) -> None:
    """Depth first without recursion: a workflow may be deeper than Python's stack, or a ring."""
    stack = [(node_id, False)]
    entered: set[str] = set()
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            order.setdefault(current)
        elif current not in entered and current not in order:
            entered.add(current)
            stack.append((current, True))
            stack += [(v[0], False) for v in prompt[current]["inputs"].values() if _is_link(v)]


def _upstream(prompt: Prompt, node_id: str) -> list[Mapping[str, Any]]:
    order: dict[str, None] = {}
    _walk(prompt, node_id, order)
    return [prompt[each] for each in order]


def _order(prompt: Prompt, node_id: str, files: Files) -> Order:
    """What a saver would plausibly have saved, from the uploads and texts upstream of it."""
    kind = SAVERS[prompt[node_id]["class_type"]]
    nodes = _upstream(prompt, node_id)
    texts = [n["inputs"].get("text") for n in nodes if "CLIPTextEncode" in n["class_type"]]
    sources = [
        files[n["inputs"][LOADERS[n["class_type"]][0]]].path
        for n in nodes
        if n["class_type"] in LOADERS and not _is_link(n["inputs"][LOADERS[n["class_type"]][0]])
    ]
    seeds = [n["inputs"].get("seed", n["inputs"].get("noise_seed")) for n in nodes]
    text = next((unmarked(text) for text in texts if isinstance(text, str)), "")
    return Order(kind, text, sources=tuple(sources), variant=f"{node_id} {seeds}")


# -- nodes that are really computed --------------------------------------------------------------


def _computed(
    prompt: Prompt, saver: Mapping[str, Any], files: Files, new_path: Callable[[], Path]
) -> Path | None:
    """The picture a saver of computable nodes saves, None where a node is not known here."""
    if saver["class_type"] not in ("SaveImage", "PreviewImage"):
        return None
    chain = _chain(prompt, saver)
    if not chain or chain[-1]["class_type"] != "LoadImage":
        return None
    with Image.open(files[chain[-1]["inputs"]["image"]].path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    for node in reversed(chain[:-1]):
        image = _COMPUTED[node["class_type"]](image, node["inputs"])
    path = new_path()
    image.save(path, "PNG", compress_level=1)
    return path


def _chain(prompt: Prompt, saver: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The nodes from the saver's input up to the loader; empty when one is not computable."""
    chain: list[Mapping[str, Any]] = []
    link = saver["inputs"].get("images")
    while _is_link(link) and link[1] == 0 and len(chain) < len(prompt):
        node = prompt[link[0]]
        if node["class_type"] == "LoadImage":
            return [*chain, node] if isinstance(node["inputs"]["image"], str) else []
        if node["class_type"] not in _COMPUTED:
            return []
        chain.append(node)
        link = node["inputs"].get("image")
    return []


def _invert(image: Image.Image, inputs: Mapping[str, Any]) -> Image.Image:
    return ImageOps.invert(image)


def _scale(image: Image.Image, inputs: Mapping[str, Any]) -> Image.Image:
    """0 for one side keeps the proportions; crop "center" cuts to the new proportions first."""
    width, height = (_side(inputs.get(name)) for name in ("width", "height"))
    if not width and not height:
        return image
    width = width or max(1, round(image.width * height / image.height))
    height = height or max(1, round(image.height * width / image.width))
    way = _WAYS.get(str(inputs.get("upscale_method")), Image.Resampling.BILINEAR)
    if inputs.get("crop") == "center":
        return ImageOps.fit(image, (width, height), way)
    return image.resize((width, height), way)


def _side(value: Any) -> int:
    return min(max(value, 0), 4096) if type(value) is int else 0


_WAYS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
_COMPUTED: Mapping[str, Callable[[Image.Image, Mapping[str, Any]], Image.Image]] = {
    "ImageInvert": _invert,
    "ImageScale": _scale,
}
