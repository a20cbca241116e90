"""Strokes and texts of an SVG, in millimetres. A block is drawn outward from the ESP32, to whichever side it lies."""

from xml.sax.saxutils import escape

TEXT, TITLE = 2.4, 2.9
"""Heights of letters: 6.8 and 8.2 points on paper."""
LETTER = 0.56
"""How wide a letter is at most, on average, of its height; the test of the drawings reckons with it."""
DASHED = ' stroke-dasharray="0.9 0.7"'

Point = tuple[float, float]


class Drawing:
    """The elements of one SVG, in the order they are drawn."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def add(self, element: str) -> None:
        self.elements.append(element)


class Pen:
    """Draws in coordinates of its own: `u` outward from `x`, `v` down from `y`. Texts are never mirrored."""

    def __init__(self, drawing: Drawing, x: float, y: float, is_left: bool = False) -> None:
        self._drawing = drawing
        self._x = x
        self._y = y
        self._side = -1 if is_left else 1

    def wire(self, *points: Point, dashed: bool = False) -> None:
        """A line through these points."""
        path = " L".join(self._place(u, v) for u, v in points)
        self._drawing.add(f'<path d="M{path}"{DASHED if dashed else ""}/>')

    def shape(self, *points: Point) -> None:
        """A filled polygon."""
        path = " L".join(self._place(u, v) for u, v in points)
        self._drawing.add(f'<path d="M{path} Z" class="full"/>')

    def box(self, u: float, v: float, width: float, height: float, dashed: bool = False) -> None:
        x = self._x + self._side * u - (width if self._side < 0 else 0)
        place = f'x="{_mm(x)}" y="{_mm(self._y + v)}" width="{_mm(width)}" height="{_mm(height)}"'
        self._drawing.add(f"<rect {place}{DASHED if dashed else ''}/>")

    def circle(self, u: float, v: float, radius: float) -> None:
        self._drawing.add(f'<circle {self._center(u, v)} r="{_mm(radius)}"/>')

    def dot(self, u: float, v: float) -> None:
        """Two wires are joined here."""
        self._drawing.add(f'<circle {self._center(u, v)} r="0.55" class="full"/>')

    def text(
        self, u: float, v: float, said: str, anchor: str = "start", size: float = TEXT, longest: float | None = None
    ) -> None:
        """Its middle line is at `v`. What would be longer than `longest` is pressed together."""
        if self._side < 0:
            anchor = {"start": "end", "end": "start"}.get(anchor, anchor)
        x, y = self._x + self._side * u, self._y + v + 0.35 * size
        style = f' text-anchor="{anchor}"' if anchor != "start" else ""
        if size == TITLE:
            style += ' class="title"'
        if longest is not None and width_of(said, size) > longest:
            style += f' textLength="{_mm(longest)}" lengthAdjust="spacingAndGlyphs"'
        self._drawing.add(f'<text x="{_mm(x)}" y="{_mm(y)}"{style}>{escape(said)}</text>')

    def _place(self, u: float, v: float) -> str:
        return f"{_mm(self._x + self._side * u)} {_mm(self._y + v)}"

    def _center(self, u: float, v: float) -> str:
        return f'cx="{_mm(self._x + self._side * u)}" cy="{_mm(self._y + v)}"'


def width_of(said: str, size: float = TEXT) -> float:
    """How wide the text is at most."""
    return LETTER * size * len(said)


def _mm(value: float) -> str:
    return f"{round(value, 2):g}"
