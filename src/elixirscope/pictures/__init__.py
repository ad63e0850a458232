"""Sequence pictures as text, drawn into recordings. The language: docs/pictures.md."""

from elixirscope.pictures.drawing import draw, record
from elixirscope.pictures.literals import PictureError

__all__ = ["PictureError", "draw", "record"]
