"""What `skyport demo` does: the main job on the sandbox, directly or inside a real ComfyUI."""
