"""Decodes files to IMAGE, VIDEO and AUDIO; blocking. `encode` is the reverse."""

from .memory import FramesTooLarge, NotDecoded
from .pictures import batch_images, decode_image
from .sound import decode_audio, has_audio
from .video import check_video, decode_frames, frame_count, open_video, thumbnail

__all__ = [
    "FramesTooLarge",
    "NotDecoded",
    "batch_images",
    "check_video",
    "decode_audio",
    "decode_frames",
    "decode_image",
    "frame_count",
    "has_audio",
    "open_video",
    "thumbnail",
]
