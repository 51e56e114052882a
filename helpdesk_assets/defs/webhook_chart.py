"""Draws how webhooks performed, day by day: an SVG image inside Markdown, for Dagster's UI.

The UI's Markdown accepts images with a `data:` address and drops all other markup, styles included.
The colours are therefore attributes within the image. Pure text: must not know Dagster.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import date, timedelta

from helpdesk_assets.model.webhooks import WebhookDay

WIDTH, HEIGHT = 720, 200
LEFT, TOP, BOTTOM = 44, 24, 32
IN_TIME, LATE, MISSED, INK = "#2f9e6e", "#e0a100", "#d13b3b", "#7a8190"


def chart_markdown(days: Sequence[WebhookDay]) -> str:
    """Returns the chart as a Markdown image, or a short text if there is nothing to draw."""
    if not any(day.delivered + day.missed for day in days):
        return "no changes yet"
    encoded = b64encode(chart_svg(days).encode()).decode()
    return f"![changes by day](data:image/svg+xml;base64,{encoded})"


def chart_svg(days: Sequence[WebhookDay]) -> str:
    """Draws stacked bars per day: in time, late, missed. Days without a change stay empty."""
    all_days = _fill_missing_days(days)
    maximum = max(day.delivered + day.missed for day in all_days)
    step = (WIDTH - LEFT) / len(all_days)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11"',
        f' width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">',
        *_legend(),
        _text(LEFT - 6, TOP + 8, f"{maximum:,}", "end"),
        _text(LEFT - 6, HEIGHT - BOTTOM, "0", "end"),
    ]
    for index, day in enumerate(all_days):
        parts += _bar(day, LEFT + index * step, step * 0.8, maximum)
    parts += [
        _text(LEFT, HEIGHT - 12, f"{all_days[0].day:%d %b}", "start"),
        _text(WIDTH - 4, HEIGHT - 12, f"{all_days[-1].day:%d %b}", "end"),
        "</svg>",
    ]
    return "".join(parts)


def _fill_missing_days(days: Sequence[WebhookDay]) -> list[WebhookDay]:
    found: dict[date, WebhookDay] = {day.day: day for day in days}
    first, last = min(found), max(found)
    count = (last - first).days + 1
    every = (first + timedelta(days=number) for number in range(count))
    return [found.get(day, WebhookDay(day, 0, 0, 0)) for day in every]


def _bar(day: WebhookDay, x: float, width: float, maximum: int) -> list[str]:
    stacked = ((day.delivered - day.late, IN_TIME), (day.late, LATE), (day.missed, MISSED))
    y, parts = float(HEIGHT - BOTTOM), []
    for count, colour in stacked:
        if count <= 0:
            continue
        # A single missed change among thousands must be visible too.
        height = max(2.0, count / maximum * (HEIGHT - BOTTOM - TOP - 6))
        y -= height
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
            f' fill="{colour}"><title>{day.day}: {count:,}</title></rect>'
        )
    return parts


def _legend() -> list[str]:
    parts, x = [], LEFT
    for label, colour in (("in time", IN_TIME), ("late", LATE), ("missed", MISSED)):
        parts.append(f'<rect x="{x}" y="4" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, 13, label, "start"))
        x += 80
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{INK}" text-anchor="{anchor}">{text}</text>'
