"""Orders of a server that does not answer any more: whether another one may take them."""

from __future__ import annotations

from ..base.background import Engine
from ..base.errors import ServerFault, TransportError
from .job import Job


def is_silence(error: BaseException) -> bool:
    """Whether the server itself has not answered: nobody has, or a gateway before it."""
    is_gateway = isinstance(error, ServerFault) and not error.own_form
    return is_gateway or isinstance(error, TransportError)


async def can_go_elsewhere(engine: Engine, job: Job, silent: str) -> bool:
    """Whether another server than the one at the endpoint `silent` can take the order of `job`.

    Never where that one may have charged for it, nor for nobody: its last watcher may have asked to
    stop it.
    """
    provider = job.provider
    if not (job.can_be_sent and job.watchers > 0 and provider.charges_nothing(silent)):
        return False
    return await engine.blocking(lambda: provider.can_go_elsewhere(job.request, silent))
