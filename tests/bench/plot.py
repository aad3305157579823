"""The plot of docs/bench.md: seconds of each scenario as bars on a logarithmic scale. Plain SVG."""

import html
import math

COLORS = {"ours": "#1f5fbf", "plain": "#9a9a9a", "upstream": "#d9822b", "litestream": "#3a9d5d",
          "turbolite": "#8e5bb5"}
LEFT, RIGHT, BAR, GAP, TOP = 330, 70, 9, 12, 56
WIDTH = 980


def svg(bench, table):
    """The scenarios' seconds by target, with a line where the goal is."""
    names = [t.name for t in bench.targets]
    names.sort(key=lambda name: name != "ours")
    titles = {t.name: t.title for t in bench.targets}
    shown = [row for row in table if row.unit == "s" and row.ms is not None
             and any(_is(row.values.get(name)) for name in names)]
    values = [v for row in shown for v in (*row.values.values(), row.goal) if _is(v) and v > 0]
    low = math.floor(math.log10(min(values, default=0.001)))
    high = math.ceil(math.log10(max(values, default=1)))

    def x(seconds):
        share = (math.log10(max(seconds, 10**low)) - low) / max(high - low, 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    body, y = [], TOP
    for row in shown:
        y += GAP
        bars = [name for name in names if _is(row.values.get(name))]
        middle = y + len(bars) * BAR / 2 + 4
        body.append(_text(LEFT - 8, middle, f"{row.what}, {row.ms} ms", "end"))
        top = y
        for name in bars:
            value = row.values[name]
            body.append(f'<rect x="{LEFT}" y="{y}" width="{max(x(value) - LEFT, 1):.1f}" height="{BAR - 1}" '
                        f'fill="{COLORS[name]}"/>')
            body.append(_text(x(value) + 4, y + BAR - 1.5, f"{value:.3f}" if value < 1 else f"{value:.1f}",
                              size=9))
            y += BAR
        if row.goal:
            body.append(f'<line x1="{x(row.goal):.1f}" x2="{x(row.goal):.1f}" y1="{top - 3}" y2="{y + 2}" '
                        'stroke="#c00" stroke-width="1.5"/>')
    height = y + 30
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *_legend(names, titles), *_grid(low, high, x, height - 22), *body, "</svg>", ""])


def _legend(names, titles):
    at = LEFT
    for name in names:
        yield f'<rect x="{at}" y="14" width="10" height="10" fill="{COLORS[name]}"/>'
        yield _text(at + 14, 23, titles[name])
        at += 34 + 6.2 * len(titles[name])
    yield f'<line x1="{at}" x2="{at}" y1="12" y2="26" stroke="#c00" stroke-width="1.5"/>'
    yield _text(at + 6, 23, "goal")
    yield _text(LEFT - 8, 23, "seconds, logarithmic; shorter is better", "end")


def _grid(low, high, x, bottom):
    for power in range(low, high + 1):
        at = f"{x(10**power):.1f}"
        yield f'<line x1="{at}" x2="{at}" y1="{TOP - 8}" y2="{bottom}" stroke="#ddd"/>'
        yield _text(at, TOP - 12, f"{10**power:g} s", "middle", 10)
        yield _text(at, bottom + 14, f"{10**power:g} s", "middle", 10)


def _text(x, y, text, anchor="start", size=11):
    return (f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="#222">'
            f"{html.escape(str(text))}</text>")


def _is(value):
    return isinstance(value, (int, float))
