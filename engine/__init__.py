"""What all platforms share, room by room: no platform, no ComfyUI and no torch is known here."""
