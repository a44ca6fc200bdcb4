"""What can be told of code in a language other than Python: its text without comments, and the names in it.

Nothing here understands such code. So a comment is what the language's lexer and its sign agree on, and a name that
might be a file or a variable counts as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PYTHON = "python"
# What a notebook of another language finds the project by: it cannot call `project_path`.
PROJECT_VARIABLE = "DUCTAFLOW_PROJECT"

_SHELLS = frozenset(("bash", "sh", "shell", "zsh", "ksh"))
_LEXERS = {"r": "r", "julia": "julia", **dict.fromkeys(_SHELLS, "bash")}
_LONGEST_PATH = 1024
_QUOTED = re.compile(r'"([^"\n]*)"|' + r"'([^'\n]*)'")
_BARE = re.compile(r"""[^\s;|&<>()=`"'{}]+""")
_PROJECT = rf"\$(?:{PROJECT_VARIABLE}|{{{PROJECT_VARIABLE}}})"
_BELOW_PROJECT = re.compile(rf"{_PROJECT}\"?/([^\s\"';|&<>()`]+)")
_WORD = re.compile(r"[^\W\d]\w*")
_WORD_OF_R = re.compile(r"(?:[^\W\d]|\.(?!\d))[\w.]*")
_ASSIGNED = r"^[ \t]*(?:(?:let|var|val|const|local|export|declare|readonly)\s+)?\$?({word})\s*(?:<-|=(?!=))"


def same_language(name: str) -> str:
    """A language by the one name that it has here, lower case: `R` is `r`, `sh` is `bash`."""
    low = name.lower()
    return "bash" if low in _SHELLS else low


def without_comments(source: str, language: str) -> str:
    """Code without its comments and the lines that held nothing else; unchanged where the comment sign is not known."""
    lexer = _LEXERS.get(language)
    if lexer is None or "#" not in source:
        return source.strip()
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment, String, is_token_subtype

    kept, after_text, line_gone = "", False, False
    for kind, text in get_lexer_by_name(lexer, stripnl=False, ensurenl=False).get_tokens(source + "\n"):
        if line_gone and text:
            text, line_gone = text.removeprefix("\n"), False
        # The lexer may be wrong: a sign within a word, or after a quoted blank, begins no comment.
        starts = text.startswith("#") and (not kept or kept[-1].isspace()) and not after_text
        if starts and is_token_subtype(kind, Comment) and not is_token_subtype(kind, Comment.Multiline):
            kept = kept.rstrip(" \t")
            line_gone = not kept or kept.endswith("\n")
            if text.endswith("\n"):
                kept, line_gone = kept + ("" if line_gone else "\n"), False
            continue
        kept += text
        after_text = is_token_subtype(kind, String)
    return kept.strip()


def texts_in(source: str, language: str) -> Iterator[str]:
    """What might name a file: quoted texts, and in a shell each word."""
    found = [quoted[1] or quoted[2] or "" for quoted in _QUOTED.finditer(source)]
    if language in _SHELLS:
        found += [word[0] for word in _BARE.finditer(source)]
        found += [below[1] for below in _BELOW_PROJECT.finditer(source)]
        found += [quoted.partition("/")[2] for quoted in found if re.match(_PROJECT, quoted)]
    yield from (text for text in found if 0 < len(text) <= _LONGEST_PATH and "\0" not in text)


def words_in(source: str, language: str) -> Iterator[str]:
    """Whatever might be a variable's name."""
    yield from (word[0] for word in _word_of(language).finditer(source))


def assigned_in(source: str, language: str) -> Iterator[str]:
    """The variables that the lines of a parameters cell assign."""
    pattern = _ASSIGNED.format(word=_word_of(language).pattern)
    yield from (line[1] for line in re.finditer(pattern, source, re.MULTILINE))


def _word_of(language: str) -> re.Pattern[str]:
    return _WORD_OF_R if language == "r" else _WORD
