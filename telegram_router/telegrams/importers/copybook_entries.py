"""Data description entries from tokens: levels, names and clauses, as a tree."""

# Rules this file keeps:
#
# 1. A clause that is not known is a warning with its place; the rest of its entry is still read.
# 2. What COBOL says once for a group is found at its members: usage, sign, SYNC.
# 3. Nothing here knows sizes.

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from telegram_router.telegrams.importers.copybook_text import Place, Source, Token


@dataclass(frozen=True)
class Value:
    """A literal of a VALUE clause. `figure` names a figurative constant: SPACE, ZERO, HIGH-VALUE …"""

    text: str
    is_text: bool = True
    figure: str = ""
    prefix: str = ""
    is_all: bool = False


@dataclass(frozen=True)
class Occurs:
    least: int
    most: int
    depending: tuple[str, ...] = ()  # the counter's name and its qualifiers, innermost first
    place: Place | None = None


@dataclass(frozen=True)
class Named:
    """A level 88: a name for values, each a range of one or more."""

    name: str
    values: tuple[tuple[Value, Value], ...]
    place: Place


@dataclass
class Entry:
    """One entry of a copybook with the entries below it."""

    level: int
    name: str  # "" for FILLER
    place: Place
    picture: str = ""
    picture_place: Place | None = None
    usage: str = ""
    sign: str = ""  # "leading", "trailing", with " separate"
    redefines: str = ""
    occurs: Occurs | None = None
    value: Value | None = None
    is_sync: bool = False
    is_right: bool = False
    blank_when_zero: bool = False
    is_unsigned: bool = False  # of BINARY-LONG and the like
    renames: tuple[str, str] | None = None
    names: list[Named] = field(default_factory=list)
    members: list[Entry] = field(default_factory=list)
    parent: Entry | None = None
    remark: str = ""
    text: str = ""  # the entry's clauses as they stand, on one line

    @property
    def called(self) -> str:
        return self.name or "FILLER"

    def inherited_usage(self) -> str:
        return self.usage or (self.parent.inherited_usage() if self.parent else "")

    def inherited_sign(self) -> str:
        return self.sign or (self.parent.inherited_sign() if self.parent else "")

    def inherited_sync(self) -> bool:
        return self.is_sync or (self.parent.inherited_sync() if self.parent else False)

    def walk(self) -> Iterator[Entry]:
        yield self
        for member in self.members:
            yield from member.walk()


USAGES: Final = {
    **dict.fromkeys(("BINARY", "COMP", "COMP-0", "COMP-4", "COMPUTATIONAL", "COMPUTATIONAL-0", "COMPUTATIONAL-4"), "COMP"),
    **{f"{word}-{n}": f"COMP-{n}" for word in ("COMP", "COMPUTATIONAL") for n in ("1", "2", "3", "5", "6", "X", "N")},
    **dict.fromkeys(("COMP-3U", "COMPUTATIONAL-3U"), "COMP-6"),
    "PACKED-DECIMAL": "COMP-3",
    "DISPLAY": "DISPLAY",
    "DISPLAY-1": "DISPLAY-1",
    "NATIONAL": "NATIONAL",
    "FLOAT-SHORT": "COMP-1",
    "FLOAT-LONG": "COMP-2",
    **{word: word for word in ("BINARY-CHAR", "BINARY-SHORT", "BINARY-LONG", "BINARY-DOUBLE")},
    **{word: word for word in ("INDEX", "POINTER", "FUNCTION-POINTER", "PROCEDURE-POINTER", "PROGRAM-POINTER")},
}
_FIGURES: Final = {
    **dict.fromkeys(("SPACE", "SPACES"), "SPACE"),
    **dict.fromkeys(("ZERO", "ZEROS", "ZEROES"), "ZERO"),
    **dict.fromkeys(("LOW-VALUE", "LOW-VALUES", "NULL", "NULLS"), "LOW-VALUE"),
    **dict.fromkeys(("HIGH-VALUE", "HIGH-VALUES"), "HIGH-VALUE"),
    **dict.fromkeys(("QUOTE", "QUOTES"), "QUOTE"),
}
_CLAUSES: Final = frozenset(
    (
        *USAGES,
        *("PIC", "PICTURE", "USAGE", "SIGN", "LEADING", "TRAILING", "OCCURS", "REDEFINES", "RENAMES", "VALUE", "VALUES"),
        *("SYNC", "SYNCHRONIZED", "JUST", "JUSTIFIED", "BLANK", "EXTERNAL", "GLOBAL", "GROUP-USAGE", "CONSTANT"),
    )
)
_IGNORED: Final = frozenset(("EXTERNAL", "GLOBAL", "IS", "VOLATILE", "ALIGNED", "UNSIGNED", "SIGNED"))
_NUMBER: Final = re.compile(r"[+-]?(\d+([.,]\d+)?|[.,]\d+)")
_HEADINGS: Final = re.compile(r"(EXEC|FD|SD|IDENTIFICATION|ID|PROGRAM-ID|ENVIRONMENT|DATA|CONFIGURATION|INPUT-OUTPUT|FILE|WORKING-STORAGE|LOCAL-STORAGE|LINKAGE|SELECT|FILE-CONTROL|AUTHOR|SOURCE-COMPUTER|OBJECT-COMPUTER|SPECIAL-NAMES|REPOSITORY|DATE-WRITTEN|INSTALLATION|I-O-CONTROL|REPORT|SCREEN|COMMUNICATION)")  # fmt: skip


@dataclass
class Entries:
    """What a copybook declares: its records, and the constants that its numbers may be given by."""

    records: list[Entry] = field(default_factory=list)
    constants: dict[str, Value] = field(default_factory=dict)
    aliases: list[Entry] = field(default_factory=list)  # level 66
    decimal_comma: bool = False  # DECIMAL-POINT IS COMMA


def read_entries(source: Source) -> Entries:
    """The tree of a copybook's entries. What is wrong goes to the source's findings."""
    return _Tree(source).read()


class _Tree:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.entries = Entries()
        self.open: list[Entry] = []

    def read(self) -> Entries:
        is_before = False  # within a program, before its data
        for statement in _statements(self.source):
            word = statement[0].word
            if word == "PROCEDURE":
                break
            self.entries.decimal_comma |= "DECIMAL-POINT" in (token.word for token in statement)
            is_before = (is_before or word in ("IDENTIFICATION", "ID")) and word != "DATA"
            if re.fullmatch(r"\d{1,2}", word):
                entry = _Clauses(self.source, statement, self.entries.constants).entry()
                if entry is not None:
                    self._put(entry)
            elif not is_before and not _HEADINGS.fullmatch(word):
                self.source.find("warning", "E-IMP-04", statement[0].place, f"{statement[0].text} begins no data description: left out")
        return self.entries

    def _put(self, entry: Entry) -> None:
        if entry.level == 66:
            self.entries.aliases.append(entry)
        elif entry.level == 88:
            self._name_values(entry)
        elif entry.level == 78:
            if entry.value is not None:
                self.entries.constants[entry.name.upper()] = entry.value
        elif entry.level == 77 or 1 <= entry.level <= 49:
            self._place(entry)
        else:
            self.source.find("error", "E-IMP-01", entry.place, f"level {entry.level:02} does not exist", "use 01 to 49, 66, 77, 78 or 88")

    def _name_values(self, entry: Entry) -> None:
        if not self.open:
            self.source.find("error", "E-IMP-01", entry.place, "a level 88 has no field before it")
        else:
            self.open[-1].names += entry.names

    def _place(self, entry: Entry) -> None:
        level = 1 if entry.level == 77 else entry.level
        while self.open and (self.open[-1].level >= level or self.open[-1].level == 77):
            closed = self.open.pop()
            is_odd = self.open and closed.level > level and self.open[-1].level < level and entry.level != 77
            if is_odd and all(sibling.level != level for sibling in self.open[-1].members):
                self.source.find(
                    "warning",
                    "E-IMP-03",
                    entry.place,
                    f"level {level:02} fits none before it: read as {closed.level:02}",
                    "make the levels of a group's members equal",
                )
                level = entry.level = closed.level
        if self.open:
            entry.parent = self.open[-1]
            entry.parent.members.append(entry)
        else:
            self.entries.records.append(entry)
        self.open.append(entry)


def _statements(source: Source) -> Iterator[list[Token]]:
    """Tokens up to each period. A level number that begins a line begins an entry too, and the period before it is missing."""
    statement: list[Token] = []
    for number, token in enumerate(source.tokens):
        if token.kind == "period":
            if statement:
                yield statement
            statement = []
            continue
        if statement and token.is_first and _begins_entry(source.tokens, number, statement):
            source.find(
                "error", "E-IMP-01", statement[-1].place, f"a period is missing behind {statement[-1].text}", "end the entry with a period"
            )
            yield statement
            statement = []
        statement.append(token)
    if statement:
        if re.fullmatch(r"\d{1,2}", statement[0].word):
            source.find("warning", "E-IMP-01", statement[-1].place, f"a period is missing behind {statement[-1].text}, at the end")
        yield statement


def _begins_entry(tokens: Sequence[Token], number: int, statement: Sequence[Token]) -> bool:
    following = tokens[number + 1] if number + 1 < len(tokens) else None
    before = statement[-1].word
    is_value = before in ("VALUE", "VALUES", "THRU", "THROUGH", "IS", "ARE", "TO", "OCCURS") or statement[0].word in ("88", "78")
    is_level = re.fullmatch(r"0?[1-9]|[1-4]\d|66|77|78|88", tokens[number].word) is not None
    return (
        is_level
        and not is_value
        and following is not None
        and following.kind == "word"
        and following.word not in ("TIMES", "TO", "DEPENDING")
    )


class _Clauses:
    """One statement: level, name, clauses."""

    def __init__(self, source: Source, statement: Sequence[Token], constants: dict[str, Value]) -> None:
        self.source = source
        self.statement = statement
        self.constants = constants
        self.at = 1
        self.last = statement[0]

    # --- walking

    def peek(self, ahead: int = 0) -> str:
        """The word that follows, in capitals; "" for a literal and behind the end."""
        return self.statement[self.at + ahead].word if self.at + ahead < len(self.statement) else ""

    def take(self) -> Token | None:
        if self.at >= len(self.statement):
            return None
        self.last = self.statement[self.at]
        self.at += 1
        return self.last

    def skip(self, *words: str) -> bool:
        if self.peek() in words and self.peek():
            self.take()
            return True
        return False

    def lacks(self, what: str, do: str = "") -> None:
        self.source.find("error", "E-IMP-01", self.last.place, f"{what} is missing behind {self.last.text}", do)

    # --- an entry

    def entry(self) -> Entry | None:
        first = self.statement[0]
        entry = Entry(int(first.text), "", first.place)
        if self.peek() and not (self.peek() in _CLAUSES and entry.level not in (66, 88, 78)):
            name = self.take()
            entry.name = "" if name is None or name.word == "FILLER" else name.text
            self._check_name(entry, name)
        entry.text = _shown(self.statement[self.at :])
        entry.remark = self._remark()
        if entry.level == 88:
            return self._values_named(entry)
        while self.at < len(self.statement):
            self._clause(entry)
        return entry

    def _check_name(self, entry: Entry, name: Token | None) -> None:
        if name is not None and not re.fullmatch(r"[\w-]+", name.text):
            marks = "".join(sorted({each for each in name.text if not (each.isalnum() or each in "-_")}))
            do = "replace it: COPY … REPLACING" if ":" in marks or "(" in marks else "use letters, digits and -"
            self.source.find("warning", "E-IMP-07", name.place, f"the name {name.text} holds {marks}", do)
            entry.name = re.sub(r"[^\w-]+", "-", name.text).strip("-") or "FIELD"

    def _remark(self) -> str:
        """A remark behind the entry, else a single one above it."""
        source, place = self.source, self.statement[0].place
        for line in range(place.line, self.statement[-1].place.line + 1):
            if remark := source.beside.get((place.file, line)):
                return remark
        above = source.above.get((place.file, place.line - 1), "")
        return "" if (place.file, place.line - 2) in source.above or len(above) > 60 else above

    def _clause(self, entry: Entry) -> None:
        token = self.take()
        word = token.word if token else ""
        reader = _READERS.get(word)
        if reader is not None:
            reader(self, entry)
        elif word in USAGES:
            entry.usage = USAGES[word]
        elif word == "SIGNED" or word == "UNSIGNED":
            entry.is_unsigned = word == "UNSIGNED"
        elif re.fullmatch(r"COMP(UTATIONAL)?-\w+", word) and token is not None:
            self.source.find(
                "error",
                "E-IMP-05",
                token.place,
                f"the size of {token.text} is not known",
                "use the usage of your compiler's manual that it stands for",
            )
        elif word not in _IGNORED and token is not None:
            self._unknown(token)

    def _unknown(self, token: Token) -> None:
        """Skip to what is known again."""
        begun = self.at
        while self.at < len(self.statement) and self.peek() not in _CLAUSES:
            self.at += 1
        rest = _shown(self.statement[begun : self.at])
        shown = f"{token.text} {rest}".strip()
        self.source.find("warning", "E-IMP-04", token.place, f"the clause {shown[:60]} is not known: left out")

    # --- clauses

    def _picture(self, entry: Entry) -> None:
        self.skip("IS")
        token = self.take()
        if token is None or token.kind != "word":
            self.lacks("a picture")
            return
        picture = token.text
        while re.match(r"\(", self.peek()) and picture[-1:].isalpha():
            picture += self.peek()
            self.take()
        if entry.picture:
            self.source.find("error", "E-IMP-05", token.place, "a second picture for one field")
        entry.picture, entry.picture_place = picture, token.place

    def _usage(self, entry: Entry) -> None:
        self.skip("IS")
        token = self.take()
        word = token.word if token else ""
        if word in USAGES:
            entry.usage = USAGES[word]
        elif word == "OBJECT":
            self.at = len(self.statement)
            entry.usage = "POINTER"
            self.source.find(
                "warning", "E-IMP-09", self.last.place, "an object reference means nothing outside of its program: read as a pointer"
            )
        elif token is not None:
            self.source.find("warning", "E-IMP-04", token.place, f"the usage {token.text} is not known: read as DISPLAY")

    def _group_usage(self, entry: Entry) -> None:
        self.skip("IS")
        if self.skip("NATIONAL"):
            entry.usage = "NATIONAL"

    def _sign(self, entry: Entry) -> None:
        self.skip("IS")
        word = self.peek()
        if not self.skip("LEADING", "TRAILING"):
            self.lacks("LEADING or TRAILING")
            return
        self._side(entry, word)

    def _bare_sign(self, entry: Entry) -> None:
        self._side(entry, self.last.word)

    def _side(self, entry: Entry, word: str) -> None:
        separate = self.skip("SEPARATE")
        self.skip("CHARACTER")
        entry.sign = word.lower() + (" separate" if separate else "")

    def _occurs(self, entry: Entry) -> None:
        place = self.last.place
        least = self._count()
        most = self._count() if self.skip("TO") else least
        self.skip("TIMES")
        depending: tuple[str, ...] = ()
        if self.skip("DEPENDING"):
            self.skip("ON")
            depending = self._qualified()
        self._keys()
        if least is None or most is None:
            return
        if most < least or most < 1:
            self.source.find("error", "E-IMP-05", place, f"OCCURS {least} TO {most} is no range")
            return
        if most == least and depending:  # OCCURS 5 DEPENDING ON N: as compilers take it that let it pass
            least = 0
        entry.occurs = Occurs(least if depending else most, most, depending, place)

    def _count(self) -> int | None:
        token = self.take()
        if token is not None and token.text.isdecimal() and len(token.text) < 10:
            return int(token.text)
        constant = self.constants.get(token.text.upper()) if token is not None else None
        if constant is not None and constant.text.isdecimal():
            return int(constant.text)
        shown = token.text if token else "nothing"
        do = (
            "give a number: an unbounded table has no layout" if token is not None and token.word in ("UNBOUNDED", "DYNAMIC", "ANY") else ""
        )
        self.source.find("error", "E-IMP-05", self.last.place, f"OCCURS needs a number, not {shown}", do)
        return None

    def _keys(self) -> None:
        """ASCENDING KEY IS … and INDEXED BY … say nothing about bytes."""
        while self.skip("ASCENDING", "DESCENDING", "INDEXED"):
            self.skip("KEY")
            self.skip("IS", "BY")
            while self.peek() and self.peek() not in _CLAUSES and self.peek() not in ("ASCENDING", "DESCENDING", "INDEXED"):
                self.take()

    def _qualified(self) -> tuple[str, ...]:
        names = []
        token = self.take()
        while token is not None and token.kind == "word":
            names.append(token.text)
            if not self.skip("OF", "IN"):
                break
            token = self.take()
        if not names:
            self.lacks("a name")
        return tuple(names)

    def _redefines(self, entry: Entry) -> None:
        names = self._qualified()
        entry.redefines = names[0] if names else ""

    def _renames(self, entry: Entry) -> None:
        first = self._qualified()
        last = self._qualified() if self.skip("THRU", "THROUGH") else first
        entry.renames = (first[0], last[0]) if first and last else None

    def _sync(self, entry: Entry) -> None:
        entry.is_sync = True
        self.skip("LEFT", "RIGHT")

    def _just(self, entry: Entry) -> None:
        entry.is_right = True
        self.skip("RIGHT")

    def _blank(self, entry: Entry) -> None:
        self.skip("WHEN")
        entry.blank_when_zero = self.skip("ZERO", "ZEROS", "ZEROES")
        if not entry.blank_when_zero:
            self.lacks("ZERO")

    def _constant(self, entry: Entry) -> None:
        self.skip("IS")
        self.skip("GLOBAL")
        self.skip("AS")
        entry.value = self._literal()
        entry.level = 78

    def _value(self, entry: Entry) -> None:
        self.skip("IS", "ARE")
        entry.value = self._literal()
        while self.at < len(self.statement) and (self.statement[self.at].kind == "literal" or self.peek() == "&"):
            self.take()  # a literal in parts: only shown as a remark

    def _values_named(self, entry: Entry) -> Entry | None:
        if not self.skip("VALUE", "VALUES"):
            self.lacks("VALUE")
            return None
        self.skip("IS", "ARE")
        ranges = []
        while self.at < len(self.statement):
            if self.skip("WHEN"):  # SET TO FALSE IS …
                break
            low = self._literal()
            if low is None:
                break
            high = self._literal() if self.skip("THRU", "THROUGH") else low
            ranges.append((low, high or low))
        entry.names.append(Named(entry.name, tuple(ranges), entry.place))
        return entry

    def _literal(self) -> Value | None:
        is_all = self.skip("ALL")
        token = self.take()
        if token is None:
            self.lacks("a value")
            return None
        if token.kind == "literal":
            return Value(token.text, prefix=token.prefix, is_all=is_all)
        if token.word in _FIGURES:
            return Value(token.text, figure=_FIGURES[token.word])
        if token.word in self.constants:
            return self.constants[token.word]
        if _NUMBER.fullmatch(token.text):
            return Value(token.text, is_text=False)
        if token.word in _CLAUSES:
            self.at -= 1
        self.source.find("warning", "E-IMP-04", token.place, f"the value {token.text[:40]} is no literal: left out")
        return None


_READERS: Final = {
    **dict.fromkeys(("PIC", "PICTURE"), _Clauses._picture),
    **dict.fromkeys(("VALUE", "VALUES"), _Clauses._value),
    **dict.fromkeys(("SYNC", "SYNCHRONIZED"), _Clauses._sync),
    **dict.fromkeys(("JUST", "JUSTIFIED"), _Clauses._just),
    **dict.fromkeys(("LEADING", "TRAILING"), _Clauses._bare_sign),
    "USAGE": _Clauses._usage,
    "GROUP-USAGE": _Clauses._group_usage,
    "SIGN": _Clauses._sign,
    "OCCURS": _Clauses._occurs,
    "REDEFINES": _Clauses._redefines,
    "RENAMES": _Clauses._renames,
    "BLANK": _Clauses._blank,
    "CONSTANT": _Clauses._constant,
}


def _shown(tokens: Sequence[Token]) -> str:
    """Tokens as they stand in the source, on one line."""
    return " ".join(f"{t.prefix}'{t.text}'" if t.kind == "literal" else t.text for t in tokens)
