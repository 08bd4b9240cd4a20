"""The command line that the stand-in would have been started with."""

from __future__ import annotations

from argparse import Namespace

args = Namespace(listen="127.0.0.1")
