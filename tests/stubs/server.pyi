from collections.abc import Callable
from typing import Any, ClassVar

from aiohttp import web

class PromptServer:
    instance: ClassVar[PromptServer]
    client_id: str | None
    routes: web.RouteTableDef
    sockets: dict[str, web.WebSocketResponse]
    def add_on_prompt_handler(self, handler: Callable[[Any], Any]) -> None: ...
    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None: ...
    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None: ...
