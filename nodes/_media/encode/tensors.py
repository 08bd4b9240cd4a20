"""Tensors as packs make them, in ComfyUI's own layouts: IMAGE [B,H,W,C] and MASK [B,H,W]."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from ....engine.base.errors import InvalidInput
from ....engine.base.words import tr

_PICTURE_CHANNELS = (1, 3, 4)
_MOST_ROWS = 16  # a batch of more masks of one to four columns is a picture without its batch
_EXACT_MODES = ("L", "RGB", "RGBA", "I", "F")


def plain(value: Any) -> torch.Tensor:
    """A tensor, numpy array or Pillow picture as a dense tensor in main memory, without a gradient.

    Raises InvalidInput for anything else, for complex numbers, and for a tensor without values.
    """
    if isinstance(value, Image.Image):
        value = _pixels_of(value)
    if isinstance(value, np.ndarray):
        value = _from_numpy(value)
    if not isinstance(value, torch.Tensor):
        raise InvalidInput(
            tr("A {kind} is no tensor.", kind=type(value).__name__), do=_look_at_its_node()
        )
    if value.is_meta or value.is_complex() or value.is_nested:
        raise _no_values(value)
    return _dense(value.detach() if value.requires_grad else value)


def to_unit(tensor: torch.Tensor) -> torch.Tensor:
    """Colours as float32: floats unchanged, bool as 0 and 1, uint8 divided by 255.

    Raises InvalidInput for other integers, whose scale is not known, and for NaN.
    """
    check_colours(tensor)
    if tensor.dtype == torch.uint8:
        return tensor.to(torch.float32).div_(255)
    floats = tensor.to(torch.float32)
    # A sum is quick, and NaN if any of its terms is.
    if torch.isnan(floats.sum()) and torch.isnan(floats).any():
        raise InvalidInput(
            tr("The image holds NaN (not a number) instead of colours."),
            do=tr("Look for the node that made it: often a VAE in half precision."),
        )
    return floats


def check_colours(tensor: torch.Tensor) -> None:
    """Raises InvalidInput for a type that `to_unit` does not take."""
    if tensor.is_floating_point() or tensor.dtype in (torch.bool, torch.uint8):
        return
    raise InvalidInput(
        tr("The image holds {kind}, not floats from 0 to 1.", kind=str(tensor.dtype)),
        do=tr("Divide it by its greatest value first."),
    )


def is_mask(value: Any) -> bool:
    """Whether a tensor on a socket for both IMAGE and MASK is a mask.

    Three dimensions are a batch of masks, unless the last is clearly one of channels.
    """
    shape = tuple(value.shape)
    if len(shape) == 4:
        return shape[1] == 1 and shape[3] not in _PICTURE_CHANNELS
    return len(shape) == 2 or (len(shape) == 3 and not 0 < shape[2] < min(5, *shape[:2]))


def as_images(value: Any) -> torch.Tensor:
    """[B,H,W,C] of what came from an IMAGE output: also one picture [H,W,C] or [H,W].

    [B,H,W] are grey pictures, as ComfyUI shows them. Raises InvalidInput for other shapes.
    """
    tensor = plain(value)
    shape = tuple(tensor.shape)
    if len(shape) == 2:
        tensor = tensor[None, ..., None]
    elif len(shape) == 3 and shape[2] in _PICTURE_CHANNELS:
        tensor = tensor[None]
    elif len(shape) == 3 and shape[2] > 4 and shape[0] not in (3, 4):
        tensor = tensor[..., None]
    return checked_images(tensor)


def checked_images(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` if it is an IMAGE [B,H,W,C] with 1, 3 or 4 channels. Raises InvalidInput."""
    is_image = tensor.dim() == 4 and tensor.shape[-1] in _PICTURE_CHANNELS
    if not is_image or tensor.numel() == 0:
        raise wrong_shape(tensor, "[B,H,W,C]", _image_advice(tensor.shape))
    check_colours(tensor)
    return tensor


def as_masks(value: Any) -> torch.Tensor:
    """[B,H,W] of what came from a MASK output: also [H,W], [B,1,H,W] and [B,H,W,1].

    Integers of 0 and 1, or of 0 and 255, become bool.
    Raises InvalidInput for other shapes.
    """
    tensor = plain(value)
    shape = tuple(tensor.shape)
    if len(shape) == 4 and shape[1] == 1:
        tensor = tensor[:, 0]
    elif len(shape) == 4 and shape[3] == 1:
        tensor = tensor[..., 0]
    elif len(shape) == 3 and shape[0] > _MOST_ROWS and shape[2] == 1:
        tensor = tensor[None, ..., 0]
    elif len(shape) == 2:
        tensor = tensor[None]
    is_picture = tensor.dim() == 3 and len(tensor) > _MOST_ROWS and tensor.shape[2] in (3, 4)
    if tensor.dim() != 3 or tensor.numel() == 0 or is_picture:
        raise wrong_shape(tensor, "[B,H,W]", _mask_advice(shape))
    tensor = _as_bool(tensor) if _is_hard(tensor) else tensor
    check_colours(tensor)
    return tensor


def _is_hard(mask: torch.Tensor) -> bool:
    """Whether wide integers are 0 and one usual end of a scale, which says what they mean."""
    if mask.is_floating_point() or mask.dtype in (torch.bool, torch.uint8):
        return False
    levels = mask.numpy()  # torch lacks most operations for unsigned integers
    top = int(levels.max())
    return top in (0, 1, 255) and bool(((levels == 0) | (levels == top)).all())


def _as_bool(mask: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(mask.numpy() > 0)


def wrong_shape(tensor: torch.Tensor, wanted: str, do: str = "") -> InvalidInput:
    """The error for a tensor of another shape than `wanted`."""
    return InvalidInput(
        tr(
            "The tensor has shape {shape}; {wanted} is needed, with nothing empty.",
            shape=list(tensor.shape),
            wanted=wanted,
        ),
        do=do or _look_at_its_node(),
    )


def _image_advice(shape: torch.Size) -> str:
    if len(shape) == 5:
        return tr("It looks like a batch of videos: link the frames of one video.")
    if len(shape) in (3, 4) and shape[-3] in (3, 4):
        return tr("Its channels come first: a node such as Image Permute moves them to the end.")
    return ""


def _mask_advice(shape: tuple[int, ...]) -> str:
    if len(shape) in (3, 4) and shape[-1] in (3, 4):
        return tr("It looks like an image: put a Convert Image to Mask node between.")
    return ""


def _look_at_its_node() -> str:
    return tr("Look at the node it comes from.")


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    try:
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout != torch.strided:
            tensor = tensor.to_dense()
        if tensor.is_floating_point() and tensor.itemsize == 1:  # float8 lacks most operations
            tensor = tensor.to(torch.float32)
    except RuntimeError as error:  # NotImplementedError is one
        raise _no_values(tensor) from error
    return tensor.cpu().resolve_neg()


def _no_values(tensor: torch.Tensor) -> InvalidInput:
    kind = f"{tensor.device.type} {tensor.dtype}"
    return InvalidInput(
        tr("The tensor ({kind}) holds no values that can be sent.", kind=kind),
        do=_look_at_its_node(),
    )


def _from_numpy(array: np.ndarray) -> torch.Tensor:
    # A copy: an array may be read only, run backwards or have its bytes swapped.
    native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    try:
        return torch.from_numpy(native)
    except TypeError as error:
        raise InvalidInput(
            tr("The array holds {kind}, not floats from 0 to 1.", kind=str(array.dtype)),
            do=_look_at_its_node(),
        ) from error


def _pixels_of(picture: Image.Image) -> np.ndarray:
    """[1,H,W,C]: a picture is never a batch of masks."""
    try:
        return np.atleast_3d(_pixels(picture))[None]
    except (OSError, SyntaxError, ValueError) as error:  # loaded only now, or closed
        raise InvalidInput(
            tr("The picture cannot be read: {reason}.", reason=error), do=_look_at_its_node()
        ) from error


def _pixels(picture: Image.Image) -> np.ndarray:
    """The picture upright, with its own channels where it has 1, 3 or 4 of them."""
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data and upright.mode != "RGBA":
        return np.asarray(upright.convert("RGBA"))
    if upright.mode == "1":
        return np.asarray(upright.convert("L"))
    is_exact = upright.mode in _EXACT_MODES or upright.mode.startswith("I;16")
    return np.asarray(upright if is_exact else upright.convert("RGB"))
