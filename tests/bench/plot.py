"""Curves over time as an SVG: a panel each, one below the other, with nothing but text and lines."""

from html import escape
from typing import NamedTuple

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 900, 170, 70, 20, 40, 40
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
LINES = 4


class Panel(NamedTuple):
    """Curves that share an axis from 0."""

    title: str
    # Name to values, one for each moment.
    curves: dict


def write(file, title, seconds, panels):
    """`seconds` are the moments of all curves, ascending."""
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(LEFT, 22, title, 'font-size="15"'),
    ]
    for number, panel in enumerate(panels):
        parts += draw(panel, seconds, TOP + number * (PANEL + GAP) + 12)
    file.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def draw(panel, seconds, top):
    """The parts of a panel whose upper edge is at `top`."""
    right, bottom = WIDTH - RIGHT, top + PANEL - 12
    most = step(max(max(curve) for curve in panel.curves.values()) / LINES) * LINES
    last = seconds[-1] or 1
    parts = [text(LEFT, top - 4, panel.title, 'font-weight="bold"')]
    for line in range(LINES + 1):
        y = bottom - line * (bottom - top) / LINES
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, y + 4, f"{most * line / LINES:g}", 'text-anchor="end"'))
    for moment in range(0, int(last) + 1, int(step(last / 10))):
        x = LEFT + moment / last * (right - LEFT)
        parts.append(text(x, bottom + 15, f"{moment} s", 'text-anchor="middle" fill="#555"'))
    for number, (name, curve) in enumerate(panel.curves.items()):
        points = zip(seconds, curve, strict=True)
        at = (f"{LEFT + x / last * (right - LEFT):.1f},{bottom - y / most * (bottom - top):.1f}" for x, y in points)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{" ".join(at)}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        parts.append(
            text(right - 130 * (len(panel.curves) - number - 1), top - 4, name, f'text-anchor="end" fill="{colour}"')
        )
    return parts


def step(least):
    """The smallest of 1, 2, 5, 10, 20 … that is not below `least`."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= least:
                return factor * size
        size *= 10


def text(x, y, words, style=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
