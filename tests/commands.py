"""The `skyport` command as a fixture: it runs in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from skyport import providers
from skyport.cli import main


@pytest.fixture
def skyport(capsys: pytest.CaptureFixture[str]) -> Callable[..., SimpleNamespace]:
    """Runs the command: its code, what it printed on either stream, both together, the lines."""

    def run(*argv: object) -> SimpleNamespace:
        capsys.readouterr()
        try:
            code = main([str(arg) for arg in argv])
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, all=out + err, lines=out.splitlines())

    return run


@pytest.fixture
def process(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Makes the test a process of its own; called, it is started anew."""
    monkeypatch.setenv("SKYPORT_RESULTS_DIR", str(tmp_path / "new results"))

    def begin() -> None:
        providers.runner.cache_clear()
        providers.price_book.cache_clear()
        providers.ledger.cache_clear()

    begin()
    yield begin
    begin()
