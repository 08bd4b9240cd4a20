"""The version that ComfyUI states of itself."""

__version__ = "0.33.0"
