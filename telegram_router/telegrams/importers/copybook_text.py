"""COBOL source text as tokens: reference formats, comments, continuation, COPY and REPLACING."""

# Rules this file keeps:
#
# 1. Every token knows the file, line and column where it stands, through continuation and copied texts.
# 2. Columns are those of a screen or a card: a Hangul syllable takes two, as it does in the code pages that such files are in.
# 3. A remark is never thrown away: it often is the only name that people know a field by.

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from telegram_router.telegrams.explain import display_width
from telegram_router.telegrams.fields.encodings import codec_name
from telegram_router.telegrams.importers.model import Finding, Level

Form = Literal["fixed", "free", "variable"]  # variable: fixed without a right margin
Copied = Callable[[str], tuple[str, str] | None]  # name of a text: its file and its content, None when there is none

_MARGIN: Final = 72  # the last column of a fixed line that counts
_MAX_DEPTH: Final = 20  # texts that copy texts
_MAX_TOKENS: Final = 500_000  # texts that copy texts twice each grow without end


@dataclass(frozen=True)
class Place:
    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Token:
    kind: Literal["word", "literal", "pseudo", "period"]
    text: str  # of a literal its content
    place: Place
    prefix: str = ""  # of a literal: X, N, G, Z …
    inner: tuple[Token, ...] = ()  # of a pseudo-text
    is_first: bool = False  # on its line

    @property
    def word(self) -> str:
        """The word in capitals, "" for what is no word."""
        return self.text.upper() if self.kind == "word" else ""


@dataclass
class Source:
    """Tokens of a copybook, the remarks beside them, and what was wrong."""

    tokens: list[Token] = field(default_factory=list)
    beside: dict[tuple[str, int], str] = field(default_factory=dict)  # file and line: a remark behind code
    above: dict[tuple[str, int], str] = field(default_factory=dict)  # file and line: a line that is a remark
    findings: list[Finding] = field(default_factory=list)

    def find(self, level: Level, code: str, place: Place | str, what: str, do: str = "") -> None:
        self.findings.append(Finding(level, code, str(place), what, do))


# --- bytes to text ----------------------------------------------------------------------------------------------


def decoded(content: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text of a source file and its encoding, which is guessed unless it is given: UTF-8, EBCDIC, else cp949.

    A LookupError when the given one is no encoding of text.
    """
    if encoding is None:
        encoding = _guessed(content)
    if codec_name(encoding) is None:
        raise LookupError(encoding)
    text = content.decode(encoding, "replace").replace("\x85", "\n").replace("\x00", " ")
    if "\n" not in text and "\r" not in text and len(text) > 80 and len(content) % 80 == 0:  # cards, one behind the other
        text = "\n".join(content[at : at + 80].decode(encoding, "replace") for at in range(0, len(content), 80))
    return text, encoding


def _guessed(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    shown = sum(each >= 0x4B for each in content)  # all that EBCDIC prints but blanks
    if content.count(0x40) > content.count(0x20) and 2 * sum(0x81 <= each <= 0xF9 for each in content) > shown:
        return "cp933" if b"\x0e" in content and _is_known("cp933") else "cp037"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8-sig"


def _is_known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True


# --- lines ------------------------------------------------------------------------------------------------------

_LEVEL_IN_FRONT: Final = re.compile(r"\s*\d{1,2}\s|\s*\d{1,2}$")
_DIRECTIVE: Final = re.compile(r"\s*(>>|\$)\s*(?P<text>.*)", re.DOTALL)
_TO_FORM: Final = re.compile(r"SOURCE\s*FORMAT\s*(?:IS\s*)?[\"'(]?\s*(?P<form>FREE|FIXED|VARIABLE)", re.IGNORECASE)
_LISTING: Final = re.compile(r"\s*(EJECT|SKIP[123]|TITLE\b.*)\s*\.?\s*", re.IGNORECASE)


def form_of(lines: Sequence[str]) -> Form:
    """The reference format that most lines are in. Free is what no fixed line can be."""
    for line in lines:
        if (directive := _DIRECTIVE.fullmatch(line[6:] if line[:6].isspace() else line)) and (told := _TO_FORM.match(directive["text"])):
            return told["form"].lower()  # type: ignore[return-value]
    coded = [line for line in map(_untabbed, lines) if line.strip() and not line.lstrip().startswith("*")]
    free = sum(not _could_be_fixed(line) for line in coded)
    if 2 * free > len(coded):
        return "free"
    beyond = any(_cut(line, 80)[1].strip() for line in coded if line[6:7] not in ("*", "/"))
    return "variable" if beyond else "fixed"


def _could_be_fixed(line: str) -> bool:
    numbers = line[:6]
    return line[6:7] in ("", " ", "*", "/", "-", "D", "d", "$") and not _LEVEL_IN_FRONT.match(numbers)


def _untabbed(line: str) -> str:
    return line.expandtabs(8)


def _cut(line: str, columns: int) -> tuple[str, str]:
    """What stands up to a column, and what stands behind it."""
    if len(line) <= columns // 2 or display_width(line) <= columns:
        return line, ""
    at = min(len(line), columns)
    while display_width(line[:at]) > columns:
        at -= 1
    return line[:at], line[at:]


@dataclass
class _Text:
    """Lines joined for the lexer, with the way back from each position to line and column."""

    file: str
    pieces: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    size: int = 0

    def add(self, text: str, line: int, column: int) -> None:
        self.starts.append(self.size)
        self.places.append((line, column))
        self.pieces.append(text)
        self.size += len(text)

    def strip(self) -> None:
        """Take off the blanks at the end."""
        if self.pieces:
            stripped = self.pieces[-1].rstrip(" ")
            self.size -= len(self.pieces[-1]) - len(stripped)
            self.pieces[-1] = stripped

    def place(self, at: int) -> Place:
        number = max(bisect_right(self.starts, at) - 1, 0)
        line, column = self.places[number] if self.places else (1, 1)
        return Place(self.file, line, column + at - (self.starts[number] if self.starts else 0))


class _Lines:
    """Physical lines to one text: sequence numbers, indicators and margins off, continued lines joined."""

    def __init__(self, file: str, content: str, form: Form | None, source: Source) -> None:
        self.source = source
        self.text = _Text(file)
        self.lines = content.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ").split("\n")
        self.form: Form = form or form_of(self.lines)

    def joined(self) -> _Text:
        for number, line in enumerate(self.lines, 1):
            whole = _untabbed(line.rstrip("\x1a \r"))
            if whole.strip():
                self._line(whole, number)
        self.text.add("\n", len(self.lines) + 1, 1)
        return self.text

    def _line(self, line: str, number: int) -> None:
        directive = _DIRECTIVE.fullmatch(line[6:] if self.form != "free" else line)
        if directive is not None:
            self._directive(directive["text"], number)
        elif self.form == "free":
            self._free(line, number)
        else:
            self._fixed(line, number)

    def _directive(self, text: str, number: int) -> None:
        told = _TO_FORM.search(text)
        if told is not None:
            self.form = told["form"].lower()  # type: ignore[assignment]
        else:
            self.source.find("warning", "E-IMP-04", f"{self.text.file}:{number}:1", "a compiler directive is not followed")

    def _free(self, line: str, number: int) -> None:
        if line.lstrip().startswith("*"):
            self._remark(line, number)
        elif not _LISTING.fullmatch(line):
            self.text.add(f"\n{line}", number, 0)

    def _fixed(self, line: str, number: int) -> None:
        indicator, code = line[6:7], line[7:]
        if self.form == "fixed":
            code = _cut(line, _MARGIN)[0][7:]
        if indicator in ("*", "/"):
            self._remark(code, number)
        elif indicator in ("D", "d") and self._is_debug(code):
            self.source.find("note", "E-IMP-08", f"{self.text.file}:{number}:7", "a debugging line is left out")
        elif indicator == "-":
            self._continued(code, number)
        elif not _LISTING.fullmatch(code):
            if indicator not in ("", " ", "D", "d"):
                self.source.find("warning", "E-IMP-04", f"{self.text.file}:{number}:7", "the indicator in column 7 is not known")
            self.text.add(f"\n{code}", number, 7)

    @staticmethod
    def _is_debug(code: str) -> bool:
        return code[:1] in ("", " ") or code[:1].isdigit()

    def _continued(self, code: str, number: int) -> None:
        """A literal goes on at its repeated quote, and has blanks up to the margin of the line before; a word goes on at once."""
        before = "".join(self.text.pieces[-1:])
        open_quote = _open_quote("".join(self._logical_line()))
        stripped = code.lstrip()
        column = 8 + len(code) - len(stripped)
        if open_quote is None:
            self.text.strip()
            self.text.add(stripped, number, column)
            return
        if self.form == "fixed":
            self.text.add(" " * max(0, _MARGIN - 7 - display_width(before.lstrip("\n"))), number, column)
        skipped = 1 if stripped.startswith(open_quote) else 0
        self.text.add(stripped[skipped:], number, column + skipped)

    def _logical_line(self) -> list[str]:
        """The pieces back to the last line break."""
        found: list[str] = []
        for piece in reversed(self.text.pieces):
            found.insert(0, piece)
            if piece.startswith("\n"):
                break
        return found

    def _remark(self, text: str, number: int) -> None:
        _keep_remark(self.source, Place(self.text.file, number, 1), text, True)


def _open_quote(line: str) -> str | None:
    """The quote of a literal that the line does not end."""
    quote = None
    for each in line:
        if quote is None and each in "\"'":
            quote = each
        elif each == quote:
            quote = None
    return quote


# --- tokens -----------------------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|[,;](?=[\s"']|\.\s|$))
      | (?P<remark>\*>[^\n]*)
      | (?P<pseudo>==.*?==(?!=))
      | (?P<literal>(?P<prefix>[A-Za-z]{0,2})(?:"(?:[^"\n]|"")*"|'(?:[^'\n]|'')*'))
      | (?P<period>\.(?=\s|$))
      | (?P<word>(?:(?![.,;](?:\s|$)|[,;]\.\s|==|\*>|[\s"']).)+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def _tokens(text: _Text, source: Source) -> Iterator[Token]:
    whole = "".join(text.pieces)
    first = True
    for match in _TOKEN.finditer(whole):
        kind, part, place = match.lastgroup or "", match[0], text.place(match.start())
        if kind == "space":
            first = first or "\n" in part
            continue
        if kind == "remark":
            _keep_remark(source, place, part, first)
            continue
        yield from _token(kind, match, place, text, source, first)
        first = False


def _token(kind: str, match: re.Match[str], place: Place, text: _Text, source: Source, first: bool) -> Iterator[Token]:
    part = match[0]
    if kind == "literal":
        prefix = match["prefix"].upper()
        quote = part[len(prefix)]
        yield Token("literal", part[len(prefix) + 1 : -1].replace(quote * 2, quote), place, prefix, is_first=first)
    elif kind == "pseudo":
        inner = _Text(place.file)
        inner.add(part[2:-2], place.line, place.column + 2)
        yield Token("pseudo", part, place, inner=tuple(_tokens(inner, source)))
    elif kind == "other":
        if part in "\"'":
            source.find("error", "E-IMP-01", place, "a literal is not closed on its line", "close it, or continue it with - in column 7")
        elif part == "=":
            source.find("error", "E-IMP-01", place, "a pseudo-text is not closed", "close it with ==")
    else:
        yield Token("period" if kind == "period" else "word", part, place, is_first=first)


def _keep_remark(source: Source, place: Place, part: str, alone: bool) -> None:
    """What a remark says, unless it is a rule across the page or the heading of what follows."""
    text = part.removeprefix("*>").strip()
    words = text.strip(" */->.=#").strip()
    if any(each.isalnum() for each in words):
        (source.above if alone else source.beside)[place.file, place.line] = "" if text[:2] in ("**", "--", "==", "##") else words


# --- COPY and REPLACING -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Replacing:
    old: tuple[Token, ...]
    new: tuple[Token, ...]
    part: Literal["", "LEADING", "TRAILING", "within"] = ""


class _Reader:
    def __init__(self, source: Source, copied: Copied, form: Form | None) -> None:
        self.source = source
        self.copied = copied
        self.form: Form | None = form

    def read(self, file: str, content: str, open_files: tuple[str, ...] = ()) -> list[Token]:
        """All tokens of a text, those of the texts that it copies in their place."""
        text = _Lines(file, content, self.form, self.source).joined()
        tokens, done, at = [*_tokens(text, self.source)], list[Token](), 0
        if len(tokens) > _MAX_TOKENS:
            what = f"it has {len(tokens):,} words, more than {_MAX_TOKENS:,}"
            self.source.find("error", "E-IMP-05", tokens[0].place, what, "give the copybook of one record")
            return []
        while at < len(tokens):
            if tokens[at].word in ("COPY", "++INCLUDE", "-INC", "EXEC") and (end := self._statement(tokens, at)):
                done += self._copy(tokens[at:end], (*open_files, file))
                at = end
            elif tokens[at].word == "REPLACE" and tokens[at].is_first:
                end = _behind_period(tokens, at)
                replaced = _replacings(tokens[at + 1 : end])
                tokens[end:] = _replaced(tokens[end:], replaced)
                at = end
            else:
                done.append(tokens[at])
                at += 1
            if len(done) > _MAX_TOKENS:
                self.source.find(
                    "error", "E-IMP-02", tokens[0].place, "the copied texts grow without end", "look for texts that copy each other"
                )
                return []
        return done

    @staticmethod
    def _statement(tokens: Sequence[Token], at: int) -> int:
        """Where a copying statement ends, 0 when it is none."""
        word = tokens[at].word
        if word == "COPY":
            return _behind_period(tokens, at)
        if word == "EXEC":
            return _behind_include(tokens, at)
        line = tokens[at].place.line
        return next((n for n in range(at, len(tokens)) if tokens[n].place.line != line), len(tokens))

    def _copy(self, statement: Sequence[Token], open_files: tuple[str, ...]) -> list[Token]:
        words = [token for token in statement[1:] if token.word not in ("SQL", "INCLUDE", "END-EXEC") and token.kind != "period"]
        if not words:
            self.source.find("error", "E-IMP-01", statement[0].place, "COPY names no text")
            return []
        name, place = words[0].text, words[0].place
        found = self.copied(name)
        if found is None:
            self.source.find("error", "E-IMP-02", place, f"the text {name} is not found", "put it beside the copybook, or name its folder")
            return []
        file, content = found
        if file in open_files or len(open_files) > _MAX_DEPTH:
            self.source.find("error", "E-IMP-02", place, f"{name} copies itself", "remove the COPY")
            return []
        inner = _Reader(self.source, self.copied, self.form).read(file, content, open_files)
        start = next((n for n, token in enumerate(words) if token.word == "REPLACING"), len(words))
        return _replaced(inner, _replacings(words[start + 1 :]))


def _behind_period(tokens: Sequence[Token], at: int) -> int:
    return next((n + 1 for n in range(at, len(tokens)) if tokens[n].kind == "period"), len(tokens))


def _behind_include(tokens: Sequence[Token], at: int) -> int:
    """Behind EXEC SQL INCLUDE name END-EXEC and its period, 0 for other statements of SQL."""
    words = [token.word for token in tokens[at : at + 5]]
    if words[2:3] != ["INCLUDE"] or words[4:5] != ["END-EXEC"]:
        return 0
    end = at + 5
    return end + 1 if end < len(tokens) and tokens[end].kind == "period" else end


def _replacings(words: Sequence[Token]) -> list[_Replacing]:
    """Pairs of `old BY new`."""
    found, part, at = list[_Replacing](), "", 0
    while at + 2 < len(words):
        if words[at].word in ("LEADING", "TRAILING"):
            part, at = words[at].word, at + 1
            continue
        if words[at + 1].word != "BY":
            at += 1
            continue
        old, new = _operand(words[at]), _operand(words[at + 2])
        if old:
            found.append(_Replacing(old, new, part or ("within" if _is_within(old) else "")))  # type: ignore[arg-type]
        part, at = "", at + 3
    return found


def _operand(token: Token) -> tuple[Token, ...]:
    return token.inner if token.kind == "pseudo" else (token,)


def _is_within(old: Sequence[Token]) -> bool:
    """One word in marks, like :TAG: or (TAG), is replaced within longer words too."""
    text = old[0].text
    return len(old) == 1 and old[0].kind == "word" and len(text) > 2 and not (text[0].isalnum() or text[-1].isalnum() or text[0] == "-")


def _replaced(tokens: Sequence[Token], replacings: Sequence[_Replacing]) -> list[Token]:
    done, at = list[Token](), 0
    while at < len(tokens):
        for each in replacings:
            new, taken = _applied(each, tokens, at)
            if taken:
                done += new
                at += taken
                break
        else:
            done.append(tokens[at])
            at += 1
    return done


def _applied(each: _Replacing, tokens: Sequence[Token], at: int) -> tuple[list[Token], int]:
    """What stands in place of the tokens at a place, and how many of them it replaces: 0 when it does not."""
    token, old = tokens[at], each.old[0].text
    if each.part and token.kind == "word":
        text = _within(each.part, token.text, old, "".join(t.text for t in each.new))
        return ([replace(token, text=text)] if text else [], 1) if text is not None else ([], 0)
    size = len(each.old)
    if each.part or len(tokens) - at < size or not all(map(_same, tokens[at : at + size], each.old)):
        return [], 0
    return [replace(new, place=token.place, is_first=token.is_first and n == 0) for n, new in enumerate(each.new)], size


def _same(one: Token, other: Token) -> bool:
    return one.kind == other.kind and (one.text == other.text if one.kind == "literal" else one.text.upper() == other.text.upper())


def _within(part: str, text: str, old: str, new: str) -> str | None:
    """The word with one part of it replaced, None when it has no such part."""
    if part == "LEADING":
        return new + text[len(old) :] if text.upper().startswith(old.upper()) else None
    if part == "TRAILING":
        return text[: len(text) - len(old)] + new if text.upper().endswith(old.upper()) else None
    pieces = re.split(re.escape(old), text, flags=re.IGNORECASE)
    return new.join(pieces) if len(pieces) > 1 else None


def no_copies(name: str) -> None:
    """For copybooks that copy nothing."""


def read_source(file: str, content: str, form: Form | None = None, copied: Copied = no_copies) -> Source:
    """The tokens of a copybook. `copied` gives the texts that its COPY statements name."""
    source = Source()
    source.tokens = _Reader(source, copied, form).read(file, content)
    return source
