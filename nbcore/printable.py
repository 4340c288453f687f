"""Text of others as a terminal may show it."""

import re

# Control characters but the ends of lines and tabulators, marks that change the direction of writing or have no width,
# halves of surrogate pairs, and what no font has: with them a name could clear the screen or look like another one.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufe00-\ufe0f"
    "\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff]"
)


def printable(text) -> str:
    r"""`text` with every character that could act on a terminal written out.

    >>> print(printable("red\x1b[31m"))
    red\x1b[31m
    """
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), str(text))
