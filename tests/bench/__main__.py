"""`python -m tests.bench` or `python tests/bench`, whatever the clone is called."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

# The repository's root is a package: were it on the path, its `nodes` would hide ComfyUI's.
sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != TESTS.parent]
sys.path.insert(0, str(TESTS))

from bench._command import main  # noqa: E402  found only now

if __name__ == "__main__":
    sys.exit(main())
