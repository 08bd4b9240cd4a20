"""Runs tests of the editor on several frontends, one after another.

    COMFYUI_PATH=... python tests/editor/frontends.py "DIR DIR ..." tests/test_editor_outcome.py

The directories are static folders of comfyui-frontend-package, as COMFYUI_FRONTEND takes them
(pip install --target X --no-deps comfyui-frontend-package==1.55.18); what follows goes to pytest.
Ends with the number of frontends on which something has failed.
"""

from __future__ import annotations

import os
import subprocess
import sys


def main(folders: str, *options: str) -> int:
    failed = []
    for folder in folders.split():
        print(f"== {folder}", flush=True)
        env = {**os.environ, "COMFYUI_FRONTEND": folder}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *options]
        if subprocess.run(command, env=env, check=False).returncode:
            failed.append(folder)
    print("failed on:", *(failed or ["none"]))
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
