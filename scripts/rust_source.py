"""Rust sources as the checks in this folder see them: no comments, no strings, no test modules.

Used by check-imports and check-unsafe. Not a parser: it knows just enough of the lexer not to take
a word in a comment for code.
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent

_SKIP = re.compile(
    r"""//[^\n]*                          # line comment
      | /\*.*?\*/                         # block comment (nested ones do not occur here)
      | b?r(\#+)".*?"\1                   # raw string with hashes
      | b?r"[^"]*"                        # raw string
      | b?"(?:\\.|[^"\\])*"               # string
      | b?'(?:\\[^\n]{1,9}?|[^'\\\n])'    # character (a lifetime has no closing quote)
    """,
    re.S | re.X,
)
_TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{")


def _blank(match):
    """As many newlines as the match had, so that line numbers stay."""
    return '""' + "\n" * match.group(0).count("\n")


def code(path):
    """The file's text without comments, string contents and inline test modules."""
    text = _SKIP.sub(_blank, path.read_text(encoding="utf-8"))
    while found := _TEST_MODULE.search(text):
        depth, end = 1, found.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        body = text[found.start() : end]
        text = text[: found.start()] + "\n" * body.count("\n") + text[end:]
    return text


def files(folder):
    """Every Rust file under the folder, sorted, without those that hold only tests."""
    return sorted(
        p
        for p in (ROOT / folder).rglob("*.rs")
        if p.name != "tests.rs" and "tests" not in p.relative_to(ROOT / folder).parts[:-1]
    )


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
