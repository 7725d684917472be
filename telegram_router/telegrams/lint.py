"""Everything that can be wrong with a spec, found when it is loaded and not when traffic comes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from telegram_router.errors import CODES, ConfigProblem, Delivery
from telegram_router.telegrams.declare import OUR_CODE, Conduct, ErrorReply, Filled, Formality
from telegram_router.telegrams.draft import Draft, DraftMessage
from telegram_router.telegrams.fields import Code, Digits, FieldFault, Length, charset_of, encoding_mistakes, strictness_mistakes
from telegram_router.telegrams.layout import LayoutProblem, PlannedField, value_names
from telegram_router.telegrams.lengths import LengthField
from telegram_router.telegrams.volatile import ROLES, volatile_of
from telegram_router.telegrams.windows import misplaced


class Lines:
    """Where texts stand in a spec file. Without a file every line is 0."""

    def __init__(self, tree: ast.Module | None) -> None:
        self._texts: dict[str, list[int]] = defaultdict(list)
        self._names: dict[str, list[int]] = defaultdict(list)
        self.lambdas: list[int] = []
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Lambda):
                self.lambdas.append(node.lineno)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._texts[node.value].append(node.lineno)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.Constant):
                self._names[str(node.left.value)].append(node.lineno)

    def of_text(self, text: str, behind: int) -> int:
        """The first place of a text at or behind a line, that line when there is none."""
        return min((line for line in self._texts[text] if line >= behind), default=behind)

    def of_field(self, name: str, line: int) -> int:
        """A field's line. An element that is not ours does not know it: then the first field of that name."""
        return line or min(self._names[name], default=0)


Problems = Iterator[ConfigProblem]


def lint(draft: Draft, filename: str, lines: Lines) -> list[ConfigProblem]:
    """All problems of a family."""
    linter = _Linter(draft, filename, lines)
    return [problem for check in linter.checks() for problem in check()]


class _Linter:
    def __init__(self, draft: Draft, filename: str, lines: Lines) -> None:
        self.draft = draft
        self.family = draft.family
        self.file = filename
        self.lines = lines

    def checks(self) -> Iterable[Callable[[], Problems]]:
        return (
            self.names,
            self.encoding,
            self.layouts,
            self.sizes,
            self.header_references,
            self.carrier,
            self.keys,
            self.message_names,
            self.replies,
            self.framing,
            self.length_fields,
            self.windows,
            self.errors,
            self.conduct,
            self.volatile,
        )

    def problem(self, code: str, line: int, key: str, what: str, expected: str = "", do: str = "") -> ConfigProblem:
        return ConfigProblem(code, self.file, line, key, what, expected, do or CODES[code].do)

    # -- family

    def names(self) -> Problems:
        if not isinstance(self.family.name, str) or not self.family.name.replace("-", "_").isidentifier():
            yield self.problem("E-CFG-20", self.family.line, "name", "the family's name must be a plain word")
        if not self.family.messages:
            yield self.problem("E-CFG-20", self.family.line, "messages", "the family has no messages")

    def encoding(self) -> Problems:
        for code, what in encoding_mistakes(self.family.encoding):
            yield self.problem(code, self.lines.of_text(str(self.family.encoding), self.family.line), "encoding", what)
        for code, what in strictness_mistakes(self.family.encoding, self.family.strict):
            yield self.problem(code, self.lines.of_text(str(self.family.strict), self.family.line), "strict", what)

    # -- layouts

    def layouts(self) -> Problems:
        yield from (self._laid_out(problem, "header") for problem in self.draft.header.problems)
        for drafted in self.draft.messages:
            if not drafted.nodes:
                yield self.problem("E-CFG-21", drafted.message.line, drafted.message.name, "a message of no bytes", do="give it fields")
            yield from (self._laid_out(problem, drafted.message.name, drafted.message.line) for problem in drafted.body.problems)
            yield from self._in_both(drafted)

    def _laid_out(self, problem: LayoutProblem, owner: str, owner_line: int = 0) -> ConfigProblem:
        """A shared body is laid out for each of its messages: only a problem that has no line of its own names the message."""
        own_line = self.lines.of_field(problem.name, problem.line)
        key = f"{problem.section}.{problem.name}" if problem.name else problem.section if own_line else owner
        return self.problem(problem.code, own_line or owner_line or self.family.line, key, problem.what, do=problem.do)

    def _in_both(self, drafted: DraftMessage) -> Problems:
        header = {f.name for f in self.draft.header.fields if f.name}
        for node in drafted.body.nodes:
            for name in sorted(header.intersection(value_names([node]))):
                what = "name is used in the header and in the body: telegram[name] could mean either"
                yield self.problem("E-CFG-22", self.lines.of_field(name, node.line), f"body.{name}", what)

    def sizes(self) -> Problems:
        length = self.family.length
        for drafted in self.draft.messages if length is not None else ():
            if drafted.is_open:
                what = f"takes the rest of the telegram, but the family declares {length} bytes for all"
                yield self.problem("E-CFG-21", drafted.message.line, drafted.message.name, what)
            elif drafted.least_size != drafted.size:
                what = f"has from {drafted.least_size} to {drafted.size} bytes, but the family declares {length} for all"
                yield self.problem("E-CFG-21", drafted.message.line, drafted.message.name, what)
            elif drafted.size != length and not (drafted.body.problems or self.draft.header.problems):
                wrong = drafted.size - (length or 0)
                what = f"header {self.draft.header.size} + body {drafted.body.size} = {drafted.size} bytes, {abs(wrong)} {'more' if wrong > 0 else 'fewer'} than {length}"
                yield self.problem("E-CFG-21", drafted.message.line, drafted.message.name, what)

    # -- what the switch reads

    def header_references(self) -> Problems:
        single = [("carrier", self.family.carrier), ("owner", self.family.owner), ("trace", self.family.trace)]
        many = [("key", self.family.key), ("correlation", self.family.correlation)]
        for role, names in many:
            if names == () and self._may_be_empty(role):
                continue
            if not names or isinstance(names, str):
                yield self.problem("E-CFG-24", self.family.line, role, "names no field", "a tuple of header fields")
                continue
            yield from self._not_in_header(role, names)
            if len(set(names)) < len(names):
                yield self.problem("E-CFG-24", self.family.line, role, "names a field twice")
        for role, name in single:
            yield from self._not_in_header(role, [name] if name else [])

    def _may_be_empty(self, role: str) -> bool:
        """A record of a file has no key when it is the only one of its family. Without correlation fields a family can be read
        and written but not routed, which the check of a configuration says."""
        return role == "correlation" or len(self.draft.messages) == 1

    def _not_in_header(self, role: str, names: Iterable[str]) -> Problems:
        for name in names:
            if self.draft.header_field(name) is None:
                line = self.lines.of_text(name, self.family.line)
                yield self.problem(
                    "E-CFG-24", line, role, f"{name!r} is not a field of the header", self._close(name, self._header_names())
                )

    def _header_names(self) -> list[str]:
        return [f.name for f in self.draft.header.fields if f.name]

    @staticmethod
    def _close(name: str, known: Iterable[str]) -> str:
        near = get_close_matches(name, list(known), 3)
        return f"one of {', '.join(near or known)}"

    def carrier(self) -> Problems:
        name = self.family.carrier
        planned = self.draft.header_field(name) if name else None
        if name is None or planned is None:
            return
        line = self.lines.of_text(name, self.family.line)
        if name not in self.family.correlation:
            yield self.problem("E-CFG-24", line, "carrier", f"{name!r} is not among the correlation fields, so rewriting it pairs nothing")
        if name in self.family.key:
            yield self.problem("E-CFG-24", line, "carrier", f"{name!r} is a key field: rewriting it would make another message")
        if not (isinstance(planned.kind, Digits) and planned.kind.scale == 0 and planned.length == planned.kind.digits) and not (
            isinstance(planned.kind, Code) and planned.kind.digits and planned.kind.values is None
        ):
            yield self.problem("E-CFG-24", line, "carrier", f"{name!r} does not hold any number", "Digits(n) or Code(n, digits=True)")
        elif not planned.kind.charset.is_ascii:
            yield self.problem("E-CFG-24", line, "carrier", f"{name!r} is EBCDIC, and the router's own numbers are ASCII", "no carrier")

    # -- messages

    def message_names(self) -> Problems:
        seen: set[str] = set()
        for drafted in self.draft.messages:
            message = drafted.message
            if message.name in seen:
                yield self.problem("E-CFG-22", message.line, message.name, "two messages have this name", do="rename one")
            if message.kind not in ("request", "reply", "oneway"):
                yield self.problem("E-CFG-20", message.line, message.name, f"kind is {message.kind!r}", "request, reply or oneway")
            seen.add(message.name)

    def keys(self) -> Problems:
        owners: dict[tuple[str, ...], str] = {}
        for drafted in self.draft.messages:
            message = drafted.message
            if not isinstance(message.key, tuple) or len(message.key) != len(self.family.key):
                yield self.problem(
                    "E-CFG-24", message.line, message.name, "key has not one value for each key field", f"({', '.join(self.family.key)})"
                )
                continue
            yield from self._key_values(drafted)
            if message.key in owners:
                yield self.problem("E-CFG-28", message.line, message.name, f"has the same key as {owners[message.key]}")
            owners.setdefault(message.key, message.name)

    def _key_values(self, drafted: DraftMessage) -> Problems:
        for name, value in zip(self.family.key, drafted.message.key, strict=True):
            planned = self.draft.header_field(name)
            fault = _key_misfit(planned, value) if planned else ""
            if fault:
                yield self.problem(
                    "E-CFG-20",
                    drafted.message.line,
                    drafted.message.name,
                    f"key value of {name}: {fault}",
                    planned.kind.expected if planned else "",
                )

    # -- replies

    def replies(self) -> Problems:
        rule = self.family.reply_rule
        if rule is not None and rule.field not in self.family.key:
            yield self.problem(
                "E-CFG-24", rule.line, "reply_rule", f"{rule.field!r} is not a key field", self._close(rule.field, self.family.key)
            )
            return
        for drafted in self.draft.messages:
            if drafted.reply is None:
                what = "has no reply rule" if rule is None else "the family's reply rule gives no reply"
                yield self.problem(
                    "E-CFG-25",
                    drafted.message.line,
                    drafted.message.name,
                    what,
                    do="set reply=Reply.one(...), Reply.none() or Reply.until(...)",
                )
            elif drafted.reply.message is not None:
                yield from self._reply_target(drafted, drafted.reply.message)

    def _reply_target(self, drafted: DraftMessage, name: str) -> Problems:
        answer = self.draft.message(name)
        line = self.lines.of_text(name, drafted.message.line) if drafted.message.reply else drafted.message.line
        if answer is None:
            names = [m.message.name for m in self.draft.messages]
            yield self.problem("E-CFG-06", line, f"{drafted.message.name} reply", f"no message is named {name!r}", self._close(name, names))
        elif answer.message.kind != "reply":
            what = f'{name} answers {drafted.message.name} but is not declared kind="reply"'
            yield self.problem("E-CFG-25", answer.message.line, name, what, do='set kind="reply"')
        else:
            yield from self._until_fields(drafted, answer)

    def _until_fields(self, drafted: DraftMessage, answer: DraftMessage) -> Problems:
        reply = drafted.reply
        for name in (reply.current, reply.total) if reply and reply.kind == "until" else ():
            planned = _named(answer.fixed_fields, name or "")
            line = self.lines.of_text(name or "", drafted.message.line)
            if planned is None:
                yield self.problem("E-CFG-06", line, f"{drafted.message.name} reply", f"{answer.message.name} has no field {name!r}")
            elif not (isinstance(planned.kind, Digits) or (isinstance(planned.kind, Code) and planned.kind.digits)):
                yield self.problem("E-CFG-25", line, f"{drafted.message.name} reply", f"{name!r} is not a number")

    # -- framing

    def framing(self) -> Problems:
        sizes = sorted({size for m in self.draft.messages if not m.is_open for size in (m.least_size, m.size)})
        for what in self.family.framing.problems(sizes):
            yield self.problem("E-CFG-27", self.family.line, "framing", what)

    def length_fields(self) -> Problems:
        """A length inside the telegram is a field, and a Length field is nothing else."""
        framing = self.family.framing
        shape = framing.length
        inside = isinstance(shape, LengthField) and framing.prefix == 0
        wanted = (shape.offset, shape.width) if isinstance(shape, LengthField) and inside else None
        declared = [f for f in self.draft.header.fields if isinstance(f.kind, Length)]
        bodies = [f for m in self.draft.messages for f in m.body.fields if isinstance(f.kind, Length)]
        for planned in [*declared, *bodies]:
            if (planned.offset, planned.length) != wanted:
                what = (
                    "Length field is not where the framing has its length"
                    if wanted
                    else "Length field, but the framing has no length inside the telegram"
                )
                yield self.problem("E-CFG-27", self.lines.of_field(planned.name, planned.line), planned.path, what)
        digits = "ascii" if charset_of(self.family.encoding).is_ascii else "ebcdic"
        if wanted and shape.kind == digits and not any((f.offset, f.length) == wanted for f in declared):  # type: ignore[union-attr]
            yield self.problem(
                "E-CFG-27",
                self.family.line,
                "framing",
                f"the header has no Length({wanted[1]}) at offset {wanted[0]}, where the framing counts",
            )
        if wanted and shape.kind != digits:  # type: ignore[union-attr]
            what = f"a length inside the telegram must be {digits.upper()} digits"
            yield self.problem("E-CFG-27", self.family.line, "framing", what)

    def windows(self) -> Problems:
        """Dates that must be near a date of the header."""
        header = self.draft.header.fields
        for planned in {(f.line, f.path): f for f in [*header, *(f for m in self.draft.messages for f in m.body.fields)]}.values():
            what = misplaced(planned, header)
            if what:
                yield self.problem("E-CFG-24", self.lines.of_field(planned.name, planned.line), planned.path, what, do="name a date field")

    # -- error reply

    def errors(self) -> Problems:
        errors = self.family.errors
        if errors is None:
            return
        yield from self._error_codes(errors)
        answers = list(self._error_messages(errors))
        if errors.message is not None and not answers:
            names = [m.message.name for m in self.draft.messages]
            yield self.problem(
                "E-CFG-06",
                self.lines.of_text(errors.message, errors.line),
                "errors.message",
                f"no message is named {errors.message!r}",
                self._close(errors.message, names),
            )
        for answer in answers:
            yield from self._error_fields(errors, answer)

    def _error_messages(self, errors: ErrorReply) -> Iterator[DraftMessage]:
        """The messages that an error telegram can be."""
        names = {errors.message} if errors.message is not None else {m.reply.message for m in self.draft.messages if m.reply}
        return (m for m in self.draft.messages if m.message.name in names)

    def _error_codes(self, errors: ErrorReply) -> Problems:
        for code in errors.codes:
            if code not in CODES:
                yield self.problem(
                    "E-CFG-06",
                    self.lines.of_text(code, errors.line),
                    "errors.codes",
                    f"{code!r} is not an error code of the router",
                    self._close(code, CODES),
                )
        unknown = {errors.sent_unknown, *(value for code, value in errors.codes.items() if _is_unknown(code))}
        for key, value in (("not_sent", errors.not_sent), *errors.codes.items()):
            if value in unknown and not _is_unknown(key):
                what = f"{key} has the response code {value!r}, which also says that the money may have moved"
                yield self.problem("E-CFG-26", self.lines.of_text(value, errors.line), "errors", what)

    def _error_fields(self, errors: ErrorReply, answer: DraftMessage) -> Problems:
        values = {errors.not_sent, errors.sent_unknown, *errors.codes.values()}
        yield from self._set_field(errors, answer, errors.field, values, "errors.field")
        for path, value in errors.set.items():
            longest = max(CODES, key=len) if value is OUR_CODE else value
            yield from self._set_field(errors, answer, path, [longest], "errors.set")
            if path.removeprefix("header.") in self.family.correlation:
                what = f"{path!r} says which request the error telegram answers"
                yield self.problem(
                    "E-CFG-07", self.lines.of_text(path, errors.line), "errors.set", what, do="leave it as the request has it"
                )

    def _set_field(self, errors: ErrorReply, answer: DraftMessage, path: str, values: Iterable[Any], key: str) -> Problems:
        planned = _named(answer.fixed_fields, path)
        if planned is None or planned.is_opaque:
            what = f"{answer.message.name} has no field {path!r} of a fixed size"
            yield self.problem(
                "E-CFG-06",
                self.lines.of_text(path, errors.line),
                key,
                what,
                self._close(path, [f.path for f in answer.fixed_fields if f.name]),
            )
            return
        if planned.section == "body" and errors.message is None:
            yield self.problem(
                "E-CFG-24",
                self.lines.of_text(path, errors.line),
                key,
                f"{path!r} is in the body, which is the request's own there",
                do="name a header field",
            )
        for value in sorted(values, key=str):
            fault = _misfit(planned, value)
            if fault:
                line = self.lines.of_text(value, errors.line) if isinstance(value, str) else errors.line
                yield self.problem("E-CFG-20", line, key, f"value for {path}: {fault}", planned.kind.expected)

    # -- what belongs to the moment

    def volatile(self) -> Problems:
        for name, told in self.family.volatile.items():
            line = self.lines.of_text(str(name), self.family.line)
            found, fields = volatile_of(told), self._called(name)
            if found is None:
                yield self.problem(
                    "E-CFG-20", line, "volatile", f"{name!r} follows from nothing that is known", f"one of {', '.join(ROLES)}"
                )
            elif not fields:
                known = sorted({f.name for drafted in self.draft.messages for f in drafted.fields if f.name})
                yield self.problem("E-CFG-06", line, "volatile", f"no message has a field {name!r}", self._close(str(name), known))
            elif found.role == "clock" and not all(getattr(f.kind, "form", "") for f in fields):
                yield self.problem("E-CFG-24", line, "volatile", f"{name!r} is no date or time", "Date or Time")
            elif found.role == "sequence" and not all(_counts_up(f) for f in fields):
                yield self.problem("E-CFG-24", line, "volatile", f"{name!r} does not hold any number", "Digits(n) or Code(n)")
            elif any(f.key is not None for f in fields):
                yield self.problem("E-CFG-24", line, "volatile", f"{name!r} is a key field: another value makes another message")
            elif found.role == "ref_of" and found.of not in self.family.volatile:
                yield self.problem("E-CFG-24", line, "volatile", f"{name!r} refers to {found.of!r}, which is not volatile itself")

    def _called(self, name: object) -> list[PlannedField]:
        return [f for drafted in self.draft.messages for f in drafted.fields if f.name and name in (f.name, f.path)]

    # -- conduct

    def conduct(self) -> Problems:
        """Telegrams about the line: the router sends them by itself, so they must be possible."""
        conduct = self.family.conduct
        if conduct is None:
            return
        if not conduct.accepted:
            yield self.problem("E-CFG-20", conduct.line, "conduct.accepted", "no code means yes", do="name the code of a good answer")
        if not conduct.formalities:
            yield self.problem("E-CFG-20", conduct.line, "conduct", "declares no formality", do="declare sign_on, sign_off or echo")
        for role, formality in conduct.formalities.items():
            yield from self._formality(conduct, role, formality)

    def _formality(self, conduct: Conduct, role: str, formality: Formality) -> Problems:
        key = f"conduct.{role}"
        line = self.lines.of_text(formality.message, formality.line)
        drafted = self.draft.message(formality.message)
        if drafted is None:
            names = [m.message.name for m in self.draft.messages]
            yield self.problem("E-CFG-06", line, key, f"no message is named {formality.message!r}", self._close(formality.message, names))
            return
        answer = self.draft.message(drafted.reply.message) if drafted.reply is not None and drafted.reply.message is not None else None
        if drafted.message.kind != "request" or drafted.reply is None or drafted.reply.kind != "one" or answer is None:
            what = f"{formality.message} is not a request with one reply, so nobody could say yes"
            yield self.problem("E-CFG-25", line, key, what, do="name a request, and give it a reply")
            return
        yield from self._response(conduct, formality, answer)
        for path, value in {**conduct.set, **formality.set}.items():
            yield from self._filled(drafted, path, value, key, formality.line)
        carrier = self.family.carrier
        numbered = {path for path, value in {**conduct.set, **formality.set}.items() if value is Filled.NUMBER}
        if carrier is not None and numbered.isdisjoint((carrier, f"header.{carrier}")):
            yield self.problem("E-CFG-07", formality.line, key, f"the carrier {carrier!r} is not set to NUMBER", do="set it in conduct.set")

    def _response(self, conduct: Conduct, formality: Formality, answer: DraftMessage) -> Problems:
        planned = _named(answer.fixed_fields, conduct.response)
        if planned is None or planned.section != "header":
            what = f"{conduct.response!r} is no field of the header"
            yield self.problem("E-CFG-24", self.lines.of_text(conduct.response, conduct.line), "conduct.response", what)
            return
        fixed = {path: value for path, value in conduct.answers.items() if path.removeprefix("header.") not in self._header_names()}
        for path in fixed:
            line = self.lines.of_text(path, conduct.line)
            yield self.problem("E-CFG-06", line, "conduct.answers", f"{path!r} is no field of the header")
        for path, value in [*((conduct.response, code) for code in (*conduct.accepted, *formality.accepted)), *conduct.answers.items()]:
            field = _named(answer.fixed_fields, path)
            fault = _misfit(field, value) if field is not None else ""
            if field is not None and fault:
                yield self.problem("E-CFG-20", self.lines.of_text(value, conduct.line), f"value for {path}", fault, field.kind.expected)

    def _filled(self, drafted: DraftMessage, path: str, value: object, key: str, line: int) -> Problems:
        planned = _named(drafted.fixed_fields, path)
        at = self.lines.of_text(path, line)
        if planned is None or planned.is_opaque:
            what = f"{drafted.message.name} has no field {path!r} of a fixed size"
            yield self.problem("E-CFG-06", at, key, what, self._close(path, [f.path for f in drafted.fixed_fields if f.name]))
        elif value is Filled.NUMBER:
            if not (isinstance(planned.kind, Digits) or (isinstance(planned.kind, Code) and planned.kind.values is None)):
                yield self.problem("E-CFG-20", at, key, f"{path!r} does not hold any number", "Digits(n) or Code(n)")
        elif isinstance(value, Filled):
            form = getattr(planned.kind, "form", None)
            if form is None or "E" in form:
                yield self.problem("E-CFG-20", at, key, f"{path!r} is no date or time by the common calendar", "a Date or Time field")
        elif fault := _misfit(planned, value):
            yield self.problem("E-CFG-20", at, key, f"value for {path}: {fault}", planned.kind.expected)


def _named(fields: Iterable[PlannedField], path: str) -> PlannedField | None:
    return next((f for f in fields if f.name and path in (f.path, f.name) and (path == f.path or f.path.count(".") == 1)), None)


def _misfit(planned: PlannedField, value: Any) -> str:
    """Why a field cannot hold a value, "" when it can, or when the field itself is wrong, which is told elsewhere."""
    if any(planned.kind.mistakes()):
        return ""
    try:
        planned.kind.write(value)
    except FieldFault as fault:
        return fault.what
    return ""


def _key_misfit(planned: PlannedField, value: object) -> str:
    """As `_misfit` for a key, which is text whatever kind its field is."""
    if not isinstance(value, str) or not value.isascii():
        return "is not a text of ASCII characters"
    if isinstance(planned.kind, Code):
        return _misfit(planned, value)
    return f"{len(value)} bytes do not fit {planned.length}" if len(value) > planned.length else ""


def _is_unknown(code: str) -> bool:
    row = CODES.get(code)
    return row is not None and row.delivery is Delivery.SENT_UNKNOWN


def _counts_up(planned: PlannedField) -> bool:
    kind = planned.kind
    return isinstance(kind, Digits | Code) and getattr(kind, "scale", 0) == 0 and getattr(kind, "values", None) is None
