"""What must hold of every split prompt; each function yields a sentence for what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from templates.declared import LITERALS, MEDIA, OWN, Classes, Prompt, as_link
from templates.whole import Broken, Node, Whole

_LONGEST = 1000  # characters of a refusal: it is read on a badge


def broken(before: Prompt, after: Prompt, classes: Classes, files: set[str]) -> list[str]:
    """What does not hold of `after`, which `before` was split into.

    files  the names of files in the input folder
    """
    try:
        check = _Check(before, after, classes)
        found = [*check.outputs(), *check.needs(), *check.crossings(), *check.files(files)]
        return [*found, *check.refusals()]
    except Broken as error:
        return [str(error)]


class _Check:
    def __init__(self, before: Prompt, after: Prompt, classes: Classes) -> None:
        self.classes = classes
        unknown = {k for k, node in before.items() if node.get("class_type") is None}
        self.before, self.after = Whole(before, unknown), Whole(after, unknown)
        self.refused = {("", run) for run in self.after.refusals}

    def outputs(self) -> Iterator[str]:
        """Every output node makes of the same values what it made before, or its fate is told."""
        for node_id in self._outputs(self.before):
            here = ("", node_id)
            behind = self._needs_refused(self.before, here) or (
                node_id in self.after.prompt and self._needs_refused(self.after, here)
            )
            if node_id not in self.after.prompt:
                is_told = node_id in self.after.notes or self.refused
                if not behind and not is_told:
                    yield f"the output {node_id} is gone without a word"
            elif not behind and self.after.digest(here) != self.before.digest(here):
                yield f"the output {node_id} takes other values than before"

    def needs(self) -> Iterator[str]:
        """Nothing stays, and nothing is sent, that nothing needs."""
        was_needed = self.before.upstream({("", one) for one in self._outputs(self.before)})
        outputs = {("", one) for one in self._outputs(self.after)}
        needed = self.after.upstream(outputs | self.refused)
        for node_id, node in self.after.prompt.items():
            here = ("", node_id)
            is_own = node["class_type"].startswith(OWN)
            if not is_own and here in was_needed and here not in needed:
                yield f"{node['class_type']} {node_id} stays, and nothing here needs it"
        for at in sorted(self.after.sent() - self.after.upstream(self.after.saved())):
            yield f"{at[1]} is sent, and nothing there needs it"
        for run, (holder, value) in self.after.values.items():
            if value is not None and value not in [
                one[:2] for one in self.after.parts[holder]["saves"]
            ]:
                yield f"{run} waits for {value}, which is not brought back"

    def crossings(self) -> Iterator[str]:
        """What crosses is of a type that can."""
        for run, part in self.after.parts.items():
            for node_id, index, kind in part["saves"]:
                class_type = part["nodes"][node_id]["class_type"]
                declared = self.classes.output_type(class_type, index)
                if kind not in MEDIA or (declared and declared != kind):
                    yield f"{run} brings back {node_id} {index} ({declared}) as {kind}"
            if part["nodes"]:
                for entry, link in self.after.remote_input_links(run):
                    source, index = self.after.origin((("", link[0]), link[1]))
                    class_type = self.after.node(source)["class_type"]
                    kind = self.classes.output_type(class_type, index)
                    if kind and kind not in (*MEDIA, *LITERALS):
                        yield f"{entry} of {run} takes a {kind}"

    def files(self, names: set[str]) -> Iterator[str]:
        """No name of a file here is sent but where a person uploads one."""
        for holder, node_id in self.after.sent():
            node = self.after.node((holder, node_id))
            for name, value in node["inputs"].items():
                is_upload = self.classes.is_upload(node["class_type"], name)
                if isinstance(value, str) and value in names and not is_upload:
                    yield f"{value} is sent as {name} of {node_id}"

    def refusals(self) -> Iterator[str]:
        for run, reason in self.after.refusals.items():
            is_clear = reason.endswith(".") and "\n" not in reason
            if not is_clear or "could not split" in reason or len(reason) > _LONGEST:
                yield f"{run} is refused with {reason!r}"

    def _outputs(self, whole: Whole) -> list[str]:
        nodes = whole.prompt.items()
        return [k for k, node in nodes if self.classes.is_output(node["class_type"])]

    def _needs_refused(self, whole: Whole, here: Node) -> bool:
        """Whether a node takes a value of a Run in Cloud node that is refused."""
        stack, seen = [here[1]], {here[1]}
        while stack:
            node_id = stack.pop()
            if ("", node_id) in self.refused:
                return True
            for value in whole.prompt[node_id]["inputs"].values():
                link = as_link(value)
                if link and link[0] in whole.prompt and link[0] not in seen:
                    seen.add(link[0])
                    stack.append(link[0])
        return False


def new_errors(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What ComfyUI finds wrong with nodes now, and did not before they were split."""
    known = {(k, _what(one)) for k, errors in before.items() for one in errors["errors"]}
    return [
        f"{node_id}: {one['type']} {one['details']}"
        for node_id, errors in after.items()
        for one in errors["errors"]
        if (node_id, _what(one)) not in known
    ]


def _what(error: Any) -> tuple[str, str]:
    return error["type"], str(error.get("extra_info", {}).get("input_name"))
