"""ComfyUI workflows as data: read, split, put together again."""
