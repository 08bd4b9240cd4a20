"""Measures in a browser how well a page can be read and used: contrast, names, focus, fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

PALETTES = ("dark", "light", "solarized", "arc", "nord", "github")  # all that are built in

_SCRIPT = Path(__file__).with_suffix(".js").read_text("utf-8")


def faults(page: Page, kind: str, selector: str) -> list[str]:
    """What is wrong below `selector`; kinds: faint, nameless, unfocused, cut (see access.js)."""
    found: list[str] = page.evaluate(f"(selector) => {_SCRIPT}.{kind}(selector)", selector)
    return found


def use_palette(page: Page, name: str) -> None:
    """Show the editor in one of its palettes."""
    page.evaluate("(id) => app.extensionManager.setting.set('Comfy.ColorPalette', id)", name)
    page.wait_for_timeout(400)
