"""A line chart with logarithmic axes as an SVG file, for the pages in docs/."""
from __future__ import annotations

from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 800, 400, 64, 20, 210, 48
COLOURS = ("#1f6feb", "#0a7d55", "#b35900", "#8250df", "#cf222e", "#57606a")


def lines(series: dict[str, list[tuple[float, float]]], across: str, up: str, about: str = "") -> str:
    """``series``: points (x, y), both above zero, by name. Names of the same first word share a colour; of those
    the second is drawn dashed."""
    points = [point for values in series.values() for point in values]
    x_low, x_high = floor(log10(min(x for x, _ in points))), ceil(log10(max(x for x, _ in points)))
    y_low, y_high = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))

    def at(x: float, y: float) -> tuple[float, float]:
        return (LEFT + (log10(x) - x_low) / max(1, x_high - x_low) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (log10(y) - y_low) / max(1, y_high - y_low) * (HEIGHT - TOP - BOTTOM))

    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f"<title>{escape(up)} by {escape(across)} {escape(about)}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for power in range(x_low, x_high + 1):
        x, bottom = at(10**power, 10**y_low)
        drawn.append(f'<path d="M{x:.1f} {TOP}V{bottom:.1f}" stroke="#eaeef2"/><text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{10**power:,}</text>')
    for power in range(y_low, y_high + 1):
        x, y = at(10**x_low, 10**power)
        drawn.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="#eaeef2"/><text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    heads = list(dict.fromkeys(name.split()[0] for name in series))
    for place, (name, values) in enumerate(series.items()):
        colour = COLOURS[heads.index(name.split()[0]) % len(COLOURS)]
        dash = "" if [n for n in series if n.split()[0] == name.split()[0]].index(name) == 0 else ' stroke-dasharray="6 4"'
        path = " ".join(f"{'M' if n == 0 else 'L'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(at(*point) for point in values))
        drawn.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*point) for point in values)]
        row = TOP + 12 + place * 20
        drawn.append(f'<path d="M{WIDTH - RIGHT + 14} {row - 4}h24" stroke="{colour}" stroke-width="2"{dash}/>'
                     f'<text x="{WIDTH - RIGHT + 44}" y="{row}">{escape(name)}</text>')
    drawn.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>'
                 f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">{escape(up)}</text></svg>')
    return "\n".join(drawn) + "\n"
