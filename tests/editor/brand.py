"""Draws docs/images/icon.png and banner.png, which the Comfy Registry shows. Run it by hand."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FOLDER = Path(__file__).parents[2] / "docs" / "images"
ICON, BANNER = (400, 400), (1260, 540)  # the registry's: square, at most 400; and 21:9
FINE = 4  # drawn so many times larger, for smooth edges
TOP, BOTTOM, WHITE, WIRE = (24, 38, 92), (38, 128, 196), (255, 255, 255), (255, 190, 92)
Box = tuple[float, float, float, float]


def main() -> None:
    save(icon(), "icon.png", ICON)
    save(banner(), "banner.png", BANNER)


def icon() -> Image.Image:
    size = (ICON[0] * FINE, ICON[1] * FINE)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), 88 * FINE, 255)
    image = Image.new("RGBA", size)
    image.paste(sky(size), mask=mask)
    draw_sign(ImageDraw.Draw(image), 0, 0)
    return image


def banner() -> Image.Image:
    size = (BANNER[0] * FINE, BANNER[1] * FINE)
    image = sky(size)
    pen = ImageDraw.Draw(image)
    draw_sign(pen, 70, 70)
    write(pen, (510, 160), "Skyport", 150)
    write(pen, (518, 340), "ComfyUI nodes that run in the cloud", 40)
    return image


def sky(size: tuple[int, int]) -> Image.Image:
    """From night above to day below; it shows on dark and on light pages."""
    shade = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, BOTTOM), Image.new("RGB", size, TOP), shade)


def draw_sign(pen: ImageDraw.ImageDraw, left: float, top: float) -> None:
    """A node whose wire goes up into a cloud, in 400 x 400 from that corner."""

    def at(box: Box) -> Box:
        x0, y0, x1, y1 = box
        return ((left + x0) * FINE, (top + y0) * FINE, (left + x1) * FINE, (top + y1) * FINE)

    for circle in ((72, 116, 188, 232), (134, 68, 274, 208), (218, 122, 328, 232)):
        pen.ellipse(at(circle), WHITE)
    pen.rectangle(at((130, 160, 273, 232)), WHITE)
    pen.rectangle(at((192, 170, 208, 282)), WIRE)
    pen.ellipse(at((182, 152, 218, 188)), WIRE)
    pen.rounded_rectangle(at((128, 274, 272, 338)), 18 * FINE, WIRE)
    for socket in ((116, 294, 140, 318), (260, 294, 284, 318)):
        pen.ellipse(at(socket), WHITE)


def write(pen: ImageDraw.ImageDraw, spot: tuple[float, float], text: str, size: int) -> None:
    where = (spot[0] * FINE, spot[1] * FINE)
    pen.text(where, text, WHITE, ImageFont.load_default(size * FINE))


def save(image: Image.Image, name: str, size: tuple[int, int]) -> None:
    small = image.resize(size, Image.Resampling.LANCZOS)
    if small.mode == "RGB":  # fewer colours would show in a picture that is partly transparent
        small = small.quantize(256, dither=Image.Dither.NONE)
    small.save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
