"""What a Run in Cloud node sends, as its hidden input holds it: the part, or where that stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .api_format import Workflow, is_link
from .graph import Link, is_node

MEDIA = ("IMAGE", "MASK", "VIDEO", "AUDIO")
LITERALS = ("STRING", "INT", "FLOAT", "BOOLEAN")
VALUES = (*MEDIA, *LITERALS)  # what can cross


@dataclass(frozen=True)
class RemotePart:
    """What one Run in Cloud node sends, as PART_INPUT holds it.

    Of the nodes that share a submission the first holds it; in the others stands a `PartReference`.

    nodes    the workflow, without the inputs that take a value computed here
    entries  by name of a Remote Input: the inputs (`73.image`) that take its value
    saves    each output to bring back, with its type
    value    the output that is this node's own; None where there is nothing to run: it passes on
    """

    nodes: Workflow
    entries: Mapping[str, Sequence[str]]
    saves: Sequence[tuple[Link, str]]
    value: Link | None

    def to_json(self) -> str:
        """The same text for equal parts."""
        payload = {
            "nodes": self.nodes,
            "entries": self.entries,
            "saves": [[*link, kind] for link, kind in self.saves],
            "value": self.value,
        }
        return json.dumps(payload, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RemotePart:
        """Raises ValueError for a text that `to_json` does not make: anyone can write a prompt."""
        try:
            payload = json.loads(text)
            saves = [((node_id, output), kind) for node_id, output, kind in payload["saves"]]
            value = tuple(payload["value"]) if payload["value"] else None
            part = cls(dict(payload["nodes"]), dict(payload["entries"]), saves, value)
            is_whole = part._is_whole()
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise ValueError("no remote part") from error
        if not is_whole:
            raise ValueError("no remote part")
        return part

    def _is_whole(self) -> bool:
        """Whether its parts are what they should be, and its outputs are those of its nodes."""
        outputs = dict(self.saves)
        return (
            all(is_node(node) for node in self.nodes.values())
            and all(is_link(list(link)) and link[0] in self.nodes for link in outputs)
            and all(kind in VALUES for kind in outputs.values())
            and all(isinstance(targets, list) for targets in self.entries.values())
            and (self.value is None or self.value in outputs)
        )


@dataclass(frozen=True)
class PartReference:
    """What PART_INPUT holds instead of a part that another node holds already.

    holder  the node that holds the part
    digest  SHA-256 of its text, so that a changed part is a changed input here too
    value   as in the part
    """

    holder: str
    digest: str
    value: Link | None

    def to_json(self) -> str:
        return json.dumps({"holder": self.holder, "digest": self.digest, "value": self.value})

    @classmethod
    def from_json(cls, text: str) -> PartReference | None:
        """None for a text that `to_json` does not make."""
        if not text.startswith('{"holder"'):
            return None  # a part, which may be long
        try:
            payload = json.loads(text)
            value = tuple(payload["value"]) if payload["value"] else None
            return cls(str(payload["holder"]), str(payload["digest"]), value)
        except (TypeError, KeyError, ValueError, RecursionError):
            return None

    def resolve(self, part: RemotePart, digest: str) -> RemotePart:
        """`part`, which the holder holds, with the value of this node.

        Raises ValueError where it is not the part that was meant.
        """
        # Compared, not looked up: what stands in a prompt may have no hash.
        is_saved = self.value is None or any(self.value == link for link, _ in part.saves)
        if digest != self.digest or not is_saved:
            raise ValueError("no remote part")
        return replace(part, value=self.value)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
