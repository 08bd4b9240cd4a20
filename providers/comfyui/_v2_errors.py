"""Errors of the Comfy API v2: `{error: {code, message, details}}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...engine.base.errors import (
    ApiError,
    InputRejected,
    NotFound,
    OutOfCredit,
    RateLimited,
    SkyportError,
)
from ...engine.base.shown_text import scrub, shorten
from ...engine.base.types import Json
from ...engine.base.words import tr
from ...engine.http.retry import outcome_unknown
from ._dialect import Workflow

KEY_USED = "idempotency_key_reuse"

_CLASSES: Mapping[str, type[ApiError]] = {
    "insufficient_credits": OutOfCredit,
    "invalid_workflow": InputRejected,
    "workflow_format_ui": InputRejected,
    "missing_asset": InputRejected,
    "deployment_stopped": InputRejected,
    "queue_full": RateLimited,
    "deployment_not_ready": RateLimited,
}


def submit_error(error: ApiError, workflow: Workflow) -> SkyportError:
    """What the refusal of a job says, with what to do.

    OutcomeUnknown for a 503: the server could not reach the ComfyUI behind it, which may have the
    job; the Idempotency-Key stays taken.
    """
    if not error.own_form:
        return error
    if error.http == 503 and error.code not in _CLASSES:
        return outcome_unknown(error, error.platform)
    error_class = _CLASSES.get(error.code)
    if error_class is None:
        return error
    complaints = " ".join(_complaints(error.body, workflow))
    return error_class(
        f"{error.what} {complaints}".strip(),
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
        http=error.http,
        own_form=True,
        body=error.body,
        do=_advice(error.code) or error.do,
        platform=error.platform,
    )


def _advice(code: str) -> str:
    if code == "workflow_format_ui":
        return tr("Export the workflow in API format and use that.")
    if code == "missing_asset":
        return tr("Queue again: the file is uploaded anew.")
    if code == "deployment_stopped":
        return tr("Start the deployment on its page, then queue again.")
    if code == "deployment_not_ready":
        return tr("The deployment is still starting: queue again in a few minutes.")
    if code == "queue_full":
        return tr("The queue of the server is full: queue again later.")
    if code == "invalid_workflow":
        return tr("Correct what the server reports, then queue again.")
    return ""


def _complaints(body: Json, workflow: Workflow) -> Iterator[str]:
    """One text for every node and field that the server complains about."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    by_node = details.get("node_errors") if isinstance(details, dict) else None
    for node_id, found in by_node.items() if isinstance(by_node, dict) else ():
        for field, reason in _fields(found):
            name = _node_name(str(node_id), workflow)
            if field:
                yield tr("{node}, {field}: {reason}.", node=name, field=field, reason=reason)
            else:
                yield tr("{node}: {reason}.", node=name, reason=reason)


def _fields(found: Json) -> Iterator[tuple[str, str]]:
    """(field, reason); a server may also hand on what ComfyUI itself says: {errors: [...]}."""
    entries = found.get("errors") if isinstance(found, dict) else found
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            yield "", _text(entry)
            continue
        extra = entry.get("extra_info")
        field = entry.get("field") or (extra.get("input_name") if isinstance(extra, dict) else "")
        words = [entry.get("reason"), entry.get("message"), entry.get("details")]
        yield str(field or ""), ": ".join(_text(each) for each in words if each) or _text(entry)


def _node_name(node_id: str, workflow: Workflow) -> str:
    node = workflow.get(node_id)
    class_type = node.get("class_type") if isinstance(node, Mapping) else None
    return tr("node {id} ({name})", id=node_id, name=class_type) if class_type else node_id


def _text(value: Json) -> str:
    return shorten(scrub(str(value)), 300).rstrip(".")


def job_lost(job: Mapping[str, Json], label: str) -> NotFound:
    """The error for a job that the server knows and the ComfyUI behind it does not."""
    return NotFound(
        tr("The server has lost the job: the ComfyUI behind it was restarted or has forgotten it."),
        status=410,
        own_form=True,
        body=dict(job),
        do=tr("Queue again."),
        platform=label,
    )
