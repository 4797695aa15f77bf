"""The elements of a picture: boxes, lines, dots and texts at their places.

Owns their form, and that text is escaped. Does not own what a picture shows (topology.py) nor its styles (templates/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from cluster.render import render

ROW = 16


@dataclass(frozen=True)
class Text:
    """One line of text; `kind` is a style of the template."""

    x: float
    y: float
    text: str
    kind: str = "small"


@dataclass(frozen=True)
class Line:
    """One line; `kind` is a style of the template."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str


@dataclass(frozen=True)
class Box:
    """One frame; `kind` is a style of the template."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Dot:
    """Where a lane crosses a pool: `asks`, `answers` or `backup`."""

    x: float
    y: float
    kind: str


@dataclass
class Picture:
    """What is drawn, and how large it is."""

    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    width: float = 0
    height: float = 0

    def frame(self, box: Box, lines: Sequence[tuple[str, str]]) -> None:
        """A box with lines of text (text, kind) in it."""
        self.boxes.append(box)
        for number, (text, kind) in enumerate(lines):
            self.texts.append(Text(box.x + 10, box.y + 20 + number * ROW, text, kind))

    def svg(self, title: str) -> str:
        """The picture as an SVG document."""
        texts = [Text(text.x, text.y, escape(text.text), text.kind) for text in self.texts]
        return render("topology.svg.j2", picture=self, texts=texts, title=escape(title))
