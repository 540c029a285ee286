"""Text that others chose, such as a file's name, as it may be shown: one line of visible characters. Torch-free."""

_LONGEST = 4000


def plain(text: object, *, longest: int = _LONGEST) -> str:
    """Escape what would break a line, reach a terminal as a command, turn the order of letters, or not be written at all.

    Args:
        text: a path whose name is not UTF-8 included.
        longest: characters; of more, the middle is left out.
    """
    shown = str(text)
    if len(shown) > longest:
        half = longest // 2
        shown = f"{shown[:half]}... [{len(shown) - 2 * half:,} characters] ...{shown[-half:]}"
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
