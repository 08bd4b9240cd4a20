"""What a ComfyUI says of its node classes and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._nodes import NODES
from ._nodes.kinds import BOOLEAN, COMBO, FILE, FLOAT, INT, STRING, Input, NodeClass

# Of classes that are drawn here, not executed.
MODELS: Mapping[str, Sequence[str]] = {
    "checkpoints": ("sd_xl_base_1.0.safetensors", "flux/flux1-dev-fp8.safetensors"),
    "clip": ("clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors"),
    "controlnet": ("control_v11p_sd15_canny.safetensors",),
    "diffusion_models": ("flux1-dev.safetensors", "wan2.2_t2v_high_noise_14B_fp8.safetensors"),
    "loras": ("detail_tweaker_xl.safetensors", "style/ink.safetensors"),
    "upscale_models": ("4x-UltraSharp.pth",),
    "vae": ("ae.safetensors", "wan_2.1_vae.safetensors"),
}
_SAMPLERS = ("euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "uni_pc")
_SCHEDULERS = ("normal", "karras", "simple", "sgm_uniform")
_WHOLE = ["INT", {"default": 1, "min": 0, "max": 2**64 - 1}]
_SHARE = ["FLOAT", {"default": 1.0, "min": 0.0, "max": 100.0}]
_SIDE = ["INT", {"default": 512, "min": 16, "max": 16384}]
_TEXT = ["STRING", {"multiline": True}]


def _list(folder: str) -> list[Any]:
    return [list(MODELS[folder])]


# class -> (inputs, outputs)
_DRAWN: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]] = {
    "CheckpointLoaderSimple": ({"ckpt_name": _list("checkpoints")}, ("MODEL", "CLIP", "VAE")),
    "UNETLoader": (
        {"unet_name": _list("diffusion_models"), "weight_dtype": [["default", "fp8_e4m3fn"]]},
        ("MODEL",),
    ),
    "CLIPLoader": ({"clip_name": _list("clip"), "type": [["flux", "wan", "sd3"]]}, ("CLIP",)),
    "VAELoader": ({"vae_name": _list("vae")}, ("VAE",)),
    "LoraLoader": (
        {
            "model": ["MODEL"],
            "clip": ["CLIP"],
            "lora_name": _list("loras"),
            "strength_model": _SHARE,
            "strength_clip": _SHARE,
        },
        ("MODEL", "CLIP"),
    ),
    "ControlNetLoader": ({"control_net_name": _list("controlnet")}, ("CONTROL_NET",)),
    "UpscaleModelLoader": ({"model_name": _list("upscale_models")}, ("UPSCALE_MODEL",)),
    "ImageUpscaleWithModel": ({"upscale_model": ["UPSCALE_MODEL"], "image": ["IMAGE"]}, ("IMAGE",)),
    "CLIPTextEncode": ({"text": _TEXT, "clip": ["CLIP"]}, ("CONDITIONING",)),
    "EmptyLatentImage": ({"width": _SIDE, "height": _SIDE, "batch_size": _WHOLE}, ("LATENT",)),
    "KSampler": (
        {
            "model": ["MODEL"],
            "seed": _WHOLE,
            "steps": _WHOLE,
            "cfg": _SHARE,
            "sampler_name": [list(_SAMPLERS)],
            "scheduler": [list(_SCHEDULERS)],
            "positive": ["CONDITIONING"],
            "negative": ["CONDITIONING"],
            "latent_image": ["LATENT"],
            "denoise": _SHARE,
        },
        ("LATENT",),
    ),
    "VAEDecode": ({"samples": ["LATENT"], "vae": ["VAE"]}, ("IMAGE",)),
    "VAEEncode": ({"pixels": ["IMAGE"], "vae": ["VAE"]}, ("LATENT",)),
}


def is_known(name: str) -> bool:
    """Whether the class is among those of `object_info`."""
    return name in NODES or name in _DRAWN


def object_info(files: Sequence[str]) -> dict[str, Any]:
    """Every class; `files` are what loaders may name."""
    info = {name: _about(node, files) for name, node in NODES.items()}
    drawn = {name: _class(name, {"required": dict(i)}, o, False) for name, (i, o) in _DRAWN.items()}
    return {**info, **drawn}


def _about(node: NodeClass, files: Sequence[str]) -> dict[str, Any]:
    inputs: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for name, each in node.inputs.items():
        inputs["required" if each.required else "optional"][name] = _input(each, files)
    return _class(node.name, inputs, node.outputs, bool(node.saves))


def _class(
    name: str, inputs: Mapping[str, Any], outputs: Sequence[str], is_output: bool
) -> dict[str, Any]:
    return {
        "input": {section: names for section, names in inputs.items() if names},
        "input_order": {section: list(names) for section, names in inputs.items() if names},
        "output": list(outputs),
        "output_is_list": [False] * len(outputs),
        "output_name": list(outputs),
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": "nodes",
        "category": "sandbox",
        "output_node": is_output,
    }


def _input(each: Input, files: Sequence[str]) -> list[Any]:
    if each.kind == FILE:
        return [list(files), {f"{each.accepts[0]}_upload": True}]
    if each.kind == COMBO:
        return [list(each.options)] if each.options else [COMBO, {}]
    if each.kind not in (INT, FLOAT, STRING, BOOLEAN):
        return [each.kind]
    limits = {"default": each.otherwise, "min": each.low, "max": each.high}
    return [each.kind, {name: value for name, value in limits.items() if value is not None}]
