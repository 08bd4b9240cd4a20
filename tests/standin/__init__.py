"""A small ComfyUI: the API our nodes import, and a server on loopback that runs prompts with them.

It imitates what our nodes can notice; test_standin*.py run on it and on real checkouts. Left out:
core nodes, V1 nodes, lazy inputs, node expansion, subgraphs, models, the web frontend.

Importing it makes `comfy_api`, `comfy`, `comfy_execution`, `server` and `folder_paths` importable.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)

if _HERE not in sys.path:
    sys.path.insert(0, _HERE)
