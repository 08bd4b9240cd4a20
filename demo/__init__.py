"""What `skyport demo` shows: a real ComfyUI running this pack against the sandbox."""
