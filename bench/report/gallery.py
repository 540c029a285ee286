"""Pictures as one block, or a line where they cannot be drawn."""

from collections.abc import Callable

from distill.page.blocks import Block, Gallery, Picture, Text


def gallery(*makers: Callable[[], Picture | None]) -> list[Block]:
    """What the makers draw; a plain line where matplotlib is not installed."""
    try:
        pictures = tuple(picture for make in makers if (picture := make()) is not None)
    except ImportError as error:
        return [Text(f"Pictures are left out: {error.name or 'matplotlib'} is not installed.", muted=True)]
    return [Gallery(pictures)] if pictures else []
