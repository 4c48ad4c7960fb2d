"""Writes images/: encoded images, and what Pillow and torchvision make of each, for tests/images.rs.

NAME, decoded, resized and cropped, is NAME.png under reference/, 8 bits a channel. The photographs
come from scikit-image (`skimage.data`): coffee (Rachel Michetti, CC0), chelsea (Stefan van der Walt,
CC0) and astronaut (NASA, public domain). Made with pillow 13.0, torchvision 0.29 and scikit-image 0.26.

Usage: python make_reference.py FOLDER_OF_SKIMAGE_DATA
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

OUT = Path(__file__).parent / "images"
# Resize and crop.
FULL, HALF, SMALL = (256, 224), (128, 112), (40, 32)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(pixels: np.ndarray, colour: int) -> bytes:
    """16 bits a channel, which Pillow does not write."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def reference(path: Path, resize: int, crop: int) -> None:
    transform = Compose([Resize(resize, InterpolationMode.BICUBIC, antialias=True), CenterCrop(crop)])
    with Image.open(path) as image:
        pixels = transform(image.convert("RGB"))
    folder = OUT / "reference"
    folder.mkdir(exist_ok=True)
    pixels.save(folder / (path.name + ".png"), optimize=True)


def photographs(source: Path) -> None:
    cases = {
        "coffee": ((500, 375), {"subsampling": "4:2:0"}),
        "chelsea": ((451, 300), {"subsampling": "4:4:4", "progressive": True}),
        "astronaut": ((375, 500), {"subsampling": "4:2:2"}),
    }
    for name, (size, options) in cases.items():
        path = OUT / f"{name}.jpg"
        image = Image.open(source / f"{name}.png").convert("RGB").resize(size, Image.Resampling.LANCZOS)
        image.save(path, quality=90, optimize=True, **options)
        reference(path, *(FULL if name == "coffee" else HALF))


def jpegs(image: Image.Image) -> None:
    cmyk = Image.merge("CMYK", (*image.split(), image.convert("L").point(lambda value: value // 2)))
    exif = Image.Exif()
    exif[0x0112] = 6
    cases = {
        "grey": (image.convert("L"), {}),
        "progressive": (image, {"progressive": True}),
        "progressive_grey": (image.convert("L"), {"progressive": True}),
        "rgb": (image, {"keep_rgb": True}),
        "422": (image, {"subsampling": "4:2:2"}),
        "rotated": (image, {"exif": exif}),
        "restarts": (image, {"restart_marker_blocks": 3}),
        "cmyk": (cmyk, {"subsampling": "4:4:4"}),
        "cmyk_progressive": (cmyk, {"progressive": True}),
    }
    for name, (image, options) in cases.items():
        image.save(OUT / f"{name}.jpg", quality=90, **options)
    # The same bytes, said to be YCCK, or with no marker that says anything.
    adobe = (OUT / "cmyk.jpg").read_bytes()
    place = adobe.index(b"\xff\xee\x00\x0eAdobe")
    (OUT / "ycck.jpg").write_bytes(adobe[: place + 15] + b"\x02" + adobe[place + 16 :])
    (OUT / "cmyk_unmarked.jpg").write_bytes(adobe[:place] + adobe[place + 16 :])
    adobe = (OUT / "rgb.jpg").read_bytes()
    start = adobe.index(b"\xff\xc0")
    for channel in range(3):
        adobe = bytearray(adobe)
        for old in (start + 10 + 3 * channel, adobe.index(b"\xff\xda") + 5 + 2 * channel):
            adobe[old] = channel + 1
    (OUT / "rgb_adobe.jpg").write_bytes(adobe)


def pngs(image: Image.Image) -> None:
    pixels = np.asarray(image)
    deep = pixels.astype(np.uint16) * 257 - (pixels // 3)
    alpha = Image.fromarray((pixels[..., 0] // 2).astype(np.uint8))
    rgba = Image.merge("RGBA", (*image.split(), alpha))
    rgba.save(OUT / "alpha.png")
    Image.merge("LA", (image.convert("L"), alpha)).save(OUT / "grey_alpha.png")
    image.quantize(64).save(OUT / "palette.png")
    image.quantize(16).save(OUT / "palette_16.png", bits=4)
    image.quantize(64).save(OUT / "palette_transparent.png", transparency=bytes(range(0, 256, 4)))
    image.convert("1").save(OUT / "bilevel.png")
    image.convert("L").save(OUT / "grey_transparent.png", transparency=40)
    (OUT / "rgb_16.png").write_bytes(png16(deep, 2))
    deep_alpha = np.concatenate([deep, deep[..., :1] // 2], axis=2)
    (OUT / "rgba_16.png").write_bytes(png16(deep_alpha, 6))
    (OUT / "grey_alpha_16.png").write_bytes(png16(deep_alpha[..., 2:], 4))
    (OUT / "grey_16.png").write_bytes(png16(deep[..., 0], 0))


def others(image: Image.Image) -> None:
    alpha = image.convert("L").point(lambda value: 255 if value > 90 else 0)
    rgba = Image.merge("RGBA", (*image.split(), alpha))
    second = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image.save(OUT / "lossy.webp", quality=90)
    image.save(OUT / "lossless.webp", lossless=True)
    rgba.save(OUT / "alpha.webp", lossless=True, exact=True)
    rgba.save(OUT / "lossy_alpha.webp", quality=90)
    image.save(OUT / "animated.webp", lossless=True, save_all=True, append_images=[second])
    image.save(OUT / "plain.gif")
    rgba.save(OUT / "transparent.gif")
    image.save(OUT / "animated.gif", save_all=True, append_images=[second])
    image.save(OUT / "rgb.bmp")
    rgba.save(OUT / "alpha.bmp")
    image.quantize(64).save(OUT / "palette.bmp")
    image.convert("1").save(OUT / "bilevel.bmp")
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        image.save(OUT / f"{compression}.tif", compression=compression)
    rgba.save(OUT / "alpha.tif", compression="tiff_lzw")
    image.convert("CMYK").save(OUT / "cmyk.tif", compression="tiff_lzw")
    image.convert("1").save(OUT / "bilevel.tif", compression="packbits")
    image.convert("L").save(OUT / "grey.tif", compression="tiff_lzw")
    image.quantize(64).save(OUT / "palette.tif", compression="tiff_lzw")
    image.save(OUT / "pages.tif", compression="tiff_lzw", save_all=True, append_images=[second])
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(OUT / "grey_16.tif", compression="tiff_lzw")
    image.save(OUT / "rgb.ppm")
    image.convert("L").save(OUT / "grey.pgm")
    image.convert("1").save(OUT / "bilevel.pbm")
    deep = (np.asarray(image).astype(np.uint32) * 1000 // 255).astype(">u2")
    (OUT / "rgb_1000.ppm").write_bytes(b"P6\n%d %d\n1000\n" % image.size + deep.tobytes())


def main() -> None:
    source = Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    photographs(source)
    image = Image.open(source / "coffee.png").convert("RGB").resize((60, 45), Image.Resampling.LANCZOS)
    jpegs(image)
    pngs(image)
    others(image)
    for path in sorted(OUT.glob("*.*")):
        if path.stem not in ("coffee", "chelsea", "astronaut"):
            reference(path, *SMALL)


if __name__ == "__main__":
    main()
