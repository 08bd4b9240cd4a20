"""`python tests/bench`, wherever the clone lies and whatever it is called."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import lateness, ledger

if __name__ == "__main__":
    lateness.main()
    ledger.main()
