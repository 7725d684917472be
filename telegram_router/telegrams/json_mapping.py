"""The JSON of an HTTP service that has a shape of its own: which field goes where, and which comes back from where."""

# Rules this file keeps, all of them tested:
#
# 1. Everything that can be wrong with a mapping is found when it is made, not when money is on the way.
# 2. What the service answers is checked as strictly as a telegram. What cannot be read is E-BCK-06: the request was sent.
# 3. A reply keeps its request's key and correlation fields. No mapping may touch them.
# 4. What a plan's straight functions do not answer goes the general way, which alone decides and says what is wrong.

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from telegram_router.errors import BackendError, Delivery, FieldError, FieldProblem
from telegram_router.telegrams.fields import CharKind, FieldFault, Length, Text
from telegram_router.telegrams.json_form import SECTIONS, form_of, read_json, to_json
from telegram_router.telegrams.json_nested import Names, NodeForm, form_of_node
from telegram_router.telegrams.json_straight import Given, ToJson, ToReply, to_json_function, to_reply_function, to_reply_of_form_function
from telegram_router.telegrams.json_values import Convert, form_problem, json_type, reader_of, writer_of
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, is_flat
from telegram_router.telegrams.telegram import Telegram

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

Place: TypeAlias = PlannedField | PlannedGroup | PlannedTable  # what a field path may name

_ABSENT: Final = object()
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class MappingProblem:
    """Something wrong with a mapping."""

    key: tuple[str, ...]  # where in the service's configuration: the table and the key in it
    what: str
    expected: str = ""


class _Source(NamedTuple):
    """A field whose value goes into the JSON."""

    planned: Place
    write: Convert | None


class _Target(NamedTuple):
    """A field whose value comes from the JSON."""

    planned: Place
    steps: tuple[str, ...]
    read: Convert | NodeForm


@dataclass
class _Plan:
    """The mapping of one request message."""

    tree: dict[str, Any] = field(default_factory=dict)  # of _Source, nested as the JSON is
    targets: list[_Target] = field(default_factory=list)
    literals: dict[str, dict[str, Any]] = field(default_factory=lambda: {section: {} for section in SECTIONS})
    required: list[Node] = field(default_factory=list)  # of the reply's body: what must come from somewhere
    straight_request: ToJson | None = None
    straight_reply: ToReply | None = None


class JsonMapping:
    """Between the telegrams of some messages and the JSON of one HTTP service.

    `request` gives for a path in the JSON the field that goes there, `response` for a field of the reply the path where
    the JSON has it, `literals` for a field of the reply its text in the telegram. A JSON path is names and, in arrays,
    positions from 0, joined by dots; a field path is `header.name` or `body.name`, in a group `body.group.name`, and a table goes
    as a whole by its own path. An empty `request` sends the
    message form. `response=None` expects it; an empty one takes nothing from the answer, so that the reply is the request's own
    fields and the literals. `messages` are those that the service gets; unknown, they are all
    that are no replies. Check `problems` before use.
    """

    def __init__(
        self,
        spec: Spec,
        messages: Iterable[str] | None = None,
        *,
        request: Mapping[str, str] | None = None,
        response: Mapping[str, str] | None = None,
        literals: Mapping[str, str] | None = None,
    ) -> None:
        self._spec = spec
        asked = spec.messages if messages is None else messages
        self._messages = [spec.messages[name] for name in asked if messages is not None or spec.messages[name].kind != "reply"]
        self.messages = tuple(message.name for message in self._messages)
        self._maps_request, self._maps_response = bool(request), response is not None
        self._plans = {message.name: _Plan(required=_required(message.reply.message)) for message in self._messages}
        self.problems: tuple[MappingProblem, ...] = (
            *self._plan_request(request or {}),
            *self._plan_response(response or {}),
            *self._plan_literals(literals or {}, response or {}),
            *self._uncovered([*(request or {}).values()], [*(response or {}), *(literals or {})], certain=messages is not None),
        )
        for message, plan in [] if self.problems else self._planned():
            self._straighten(message, plan)

    # --- at work ----------------------------------------------------------------------------------------------

    def request(self, telegram: Telegram) -> bytes:
        """The JSON to send. Raises FieldError where a value is not of its field's type."""
        if not self._maps_request:
            return to_json(telegram)
        plan = self._plan_of(telegram)
        straight = plan.straight_request and plan.straight_request(telegram.header, telegram.body)
        return straight or _encode(_built(plan.tree, telegram))

    def reply_frame(self, request: Telegram, text: bytes) -> bytes:
        """The frame of `response`. `request` is as it was decoded. Raises FieldError too, where a value does not fit its field."""
        plan = self._plan_of(request)
        if plan.straight_reply is not None and request.raw is not None and not request.residue:
            straight = plan.straight_reply(request.raw, request.header, request.body, text)
            if straight is not None:
                return self._spec.framing.wrap(straight)
        return self._spec.encode(self.response(request, text))

    def response(self, request: Telegram, text: bytes) -> Telegram:
        """The reply that the service's JSON stands for. Raises BackendError E-BCK-06 with the place in the JSON."""
        problems: list[FieldProblem] = []
        answer = _parsed(text)
        plan = self._plan_of(request)
        read = _picked if self._maps_response else _in_message_form
        header, body, residue = read(plan, answer, request, problems)
        if problems:
            raise _unreadable(problems)
        reply = request.reply(body | plan.literals["body"], **(header | plan.literals["header"]))
        reply.residue = {**(reply.residue or {}), **residue} or None
        missing = [node for node in plan.required if node.name not in reply.body]
        if missing:
            raise _unreadable([_missing(reply, node) for node in missing])
        return reply

    def _plan_of(self, telegram: Telegram) -> _Plan:
        plan = self._plans.get(telegram.message.name)
        if plan is None:
            raise FieldError(
                [
                    form_problem(
                        telegram.spec.name, telegram.message.name, "", "the service's mapping is not for this message", "another route"
                    )
                ]
            )
        return plan

    # --- made once --------------------------------------------------------------------------------------------

    def _plan_request(self, table: Mapping[str, str]) -> Iterator[MappingProblem]:
        paths = {path: steps_of(path) for path in table}
        for path, name in table.items():
            holds_others = any(other != path and steps[: len(paths[path])] == paths[path] for other, steps in paths.items())
            if holds_others:
                yield MappingProblem(("request", path), "is a value and holds other values", "a path of its own")
            if not self._send(paths[path], name, dry=holds_others):
                yield self._no_field("request", path, name, self._messages)

    def _straighten(self, message: MessageLayout, plan: _Plan) -> None:
        if self._maps_request and is_flat(message.tree):
            plan.straight_request = to_json_function(_leaves(plan.tree))
        reply = message.reply.message
        if self._maps_response and reply is not None:
            steps = {(target.planned.section, target.planned.name): target.steps for target in plan.targets}
            constants = {(section, name): value for section, values in plan.literals.items() for name, value in values.items()}
            plan.straight_reply = to_reply_function(message, reply, Given(steps, constants))
        elif reply is not None and not plan.literals["header"] and not plan.literals["body"]:
            plan.straight_reply = to_reply_of_form_function(reply)

    def _planned(self) -> list[tuple[MessageLayout, _Plan]]:
        return [(message, self._plans[message.name]) for message in self._messages]

    def _send(self, steps: Sequence[str], name: str, dry: bool) -> bool:
        """Put a field into the JSON of every message that has it; False when none has."""
        found = [(plan, planned) for message, plan in self._planned() if (planned := field_at(message, name)) is not None]
        for plan, planned in [] if dry else found:
            node = plan.tree
            for step in steps[:-1]:
                node = node.setdefault(step, {})
            node[steps[-1]] = _Source(planned, self._writer(planned))
        return bool(found)

    def _writer(self, planned: Place) -> Convert | None:
        if isinstance(planned, PlannedField):
            return writer_of(planned.kind)
        form = form_of_node(Names(self._spec.name, ""), planned)

        def write(value: Any) -> Any:
            problems: list[FieldProblem] = []
            made = form.write(value, "", problems)
            if problems:
                raise FieldError(problems)
            return made

        return write

    def _reader(self, planned: Place) -> Convert | NodeForm:
        return reader_of(planned.kind) if isinstance(planned, PlannedField) else form_of_node(Names(self._spec.name, ""), planned)

    def _plan_response(self, table: Mapping[str, str]) -> Iterator[MappingProblem]:
        for name, path in table.items():
            found = self._in_replies(name)
            for plan, planned in found:
                plan.targets.append(_Target(planned, steps_of(path), self._reader(planned)))
            yield from self._untouchable("response", name, found)

    def _plan_literals(self, table: Mapping[str, str], response: Mapping[str, str]) -> Iterator[MappingProblem]:
        for name, text in table.items():
            found = self._in_replies(name)
            untouchable = [*self._untouchable("set", name, found)]
            yield from untouchable
            if name in response:
                yield MappingProblem(("set", name), "comes from the response already", "one of both")
            for plan, planned in [] if untouchable else found:
                if not isinstance(planned, PlannedField):
                    yield MappingProblem(("set", name), "is no single field", "a field path")
                    break
                try:
                    put(plan.literals[planned.section], planned, literal(planned, text))
                except FieldFault as fault:
                    yield MappingProblem(("set", name), fault.what, f"{fault.expected}, as it stands in the telegram")
                    break

    def _in_replies(self, name: str) -> list[tuple[_Plan, Place]]:
        return [
            (plan, planned)
            for message, plan in self._planned()
            if message.reply.message is not None and (planned := field_at(message.reply.message, name)) is not None
        ]

    def _untouchable(self, table: str, name: str, found: Sequence[tuple[_Plan, Place]]) -> Iterator[MappingProblem]:
        if not found:
            yield self._no_field(table, name, name, [message.reply.message for message in self._messages if message.reply.message])
        elif isinstance(found[0][1], PlannedField) and isinstance(found[0][1].kind, Length):
            yield MappingProblem((table, name), "follows from the telegram's size", "nothing")
        elif found[0][1].section == "header" and found[0][1].name in (*self._spec.family.key, *self._spec.family.correlation):
            yield MappingProblem((table, name), "makes the reply the reply to its request", "nothing: it stays as the request has it")

    def _no_field(self, table: str, key: str, name: str, messages: Sequence[MessageLayout]) -> MappingProblem:
        known = sorted({place.path for message in messages for place in places(message.tree)})
        close = difflib.get_close_matches(name, known, 1, 0.5) or [path for path in known if path.endswith(f".{name}")][:1]
        what = f"no message of the service has the field {name}" if messages else "no message of the service has a reply"
        return MappingProblem((table, key), what, close[0] if close else "a field path, e.g. header.name or body.name")

    def _uncovered(self, sent: Sequence[str], received: Sequence[str], certain: bool) -> Iterator[MappingProblem]:
        """Fields of a reply that would come from nowhere. In the message form the service itself may give them.

        Unless it is certain which messages come, only those count that have every field of the mapping.
        """
        for message, plan in self._planned():
            reply = message.reply.message
            if not self._maps_response or reply is None:
                continue
            if not certain and not (all(field_at(message, name) for name in sent) and all(field_at(reply, name) for name in received)):
                continue
            mapped = _mapped_paths(plan)
            lost = [path for node in plan.required for path in _lost(node, mapped, message.body_names)]
            if lost:
                yield MappingProblem(
                    ("response",), f"{reply.name} has fields that come from nowhere: {', '.join(lost)}", "them mapped or set"
                )


def _mapped_paths(plan: _Plan) -> frozenset[str]:
    """Paths in the body that the plan gives a value."""
    return frozenset(target.planned.path for target in plan.targets) | frozenset(_paths(plan.literals["body"], "body"))


def _paths(values: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in values.items():
        yield from _paths(value, f"{path}.{name}") if isinstance(value, dict) else [f"{path}.{name}"]


def _lost(node: Node, mapped: frozenset[str], kept: Iterable[str]) -> Iterator[str]:
    """What of a node comes from nowhere. A group of which one field is mapped is made anew: it keeps nothing of the request's."""
    if node.path in mapped:
        return
    if isinstance(node, PlannedGroup) and any(path.startswith(f"{node.path}.") for path in mapped):
        for member in filter(_must_be_given, node.members):
            yield from _lost(member, mapped, ())
    elif node.name not in kept:
        yield node.path


def _required(reply: MessageLayout | None) -> list[Node]:
    """What a reply's body cannot be without."""
    return [node for node in (reply.tree if reply else ()) if node.section == "body" and _must_be_given(node)]


def _must_be_given(node: Node) -> bool:
    return bool(node.name) and not (isinstance(node, PlannedField) and node.may_be_left_out)


def field_at(message: MessageLayout, path: str) -> Place | None:
    """The named field, group or table of exactly that path: `body.amount`."""
    return next((place for place in places(message.tree) if place.path == path), None)


def places(nodes: Iterable[Node]) -> Iterator[Place]:
    """All that a field path may name: not what is inside tables, of which there may be more or fewer."""
    for node in nodes:
        if isinstance(node, PlannedViews):
            for _, view in node.views:
                yield from places(view.members if isinstance(view, PlannedGroup) and not view.name else [view])
            continue
        if node.name:
            yield node
        if isinstance(node, PlannedGroup):
            yield from places(node.members)


def _steps_in(planned: Place) -> list[str]:
    """The names that lead to a value inside header or body."""
    return planned.path.split(".")[1:]


def put(values: dict[str, Any], planned: Place, value: Any) -> None:
    """Put a value where its field is among the values of header or body."""
    *groups, name = _steps_in(planned)
    for group in groups:
        values = values.setdefault(group, {})
    values[name] = value


def steps_of(path: str) -> tuple[str, ...]:
    """`customer.accounts.0` as steps into JSON."""
    return tuple(path.split("."))


def pointer(steps: Iterable[str]) -> str:
    """The same place as an RFC 6901 pointer, for messages."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def literal(planned: PlannedField, text: str) -> Any:
    """The value of a field that stands in the telegram as this text; blanks behind it may be left out. Raises FieldFault."""
    kind = planned.kind
    if isinstance(kind, Text):
        return kind.read(kind.write(text))
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise kind.fault("E-ENC-03", f"character {error.start + 1} of the text is not ASCII") from None
    if planned.length and len(raw) > planned.length:
        raise kind.fault("E-FLD-05", f"text needs {len(raw)} bytes, field holds {planned.length}")
    raw = raw.ljust(planned.length)
    return kind.read(kind.charset.wire(raw) if isinstance(kind, CharKind) else raw)


# --- telegram to JSON -------------------------------------------------------------------------------------------


def _built(tree: Mapping[str, Any], telegram: Telegram) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for step, node in tree.items():
        made[step] = _value(node, telegram) if isinstance(node, _Source) else _built(node, telegram)
    return made


def _leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {step: node.planned if isinstance(node, _Source) else _leaves(node) for step, node in tree.items()}


def _value(source: _Source, telegram: Telegram) -> Any:
    planned = source.planned
    value: Any = telegram.header if planned.section == "header" else telegram.body
    for step in _steps_in(planned):
        if step not in value:
            return None  # of a view that this telegram does not have
        value = value[step]
    if source.write is None:
        return value
    try:
        return source.write(value)
    except FieldFault as fault:
        assert isinstance(planned, PlannedField)
        raise FieldError([planned.problem(fault, telegram.spec.name, telegram.message.name)]) from None


# --- JSON to telegram -------------------------------------------------------------------------------------------

_Given = tuple[dict[str, Any], dict[str, Any], dict[int, bytes]]  # header, body, and bytes beside the values


def _parsed(text: bytes) -> Any:
    try:
        return read_json(text, strict=False)
    except FieldError as error:
        problems = error.problems
    raise _unreadable(problems)


def _picked(plan: _Plan, answer: Any, request: Telegram, problems: list[FieldProblem]) -> _Given:
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for planned, steps, read in plan.targets:
        found = _at(answer, steps)
        try:
            if found is _ABSENT:
                raise FieldFault("E-FLD-12", "value is missing", _expected(planned))
            put(values[planned.section], planned, read(found) if callable(read) else read.read(found, pointer(steps), problems))
        except FieldFault as fault:
            expected = f"{planned.path}: {fault.expected}"
            problems.append(form_problem(request.spec.name, request.message.name, pointer(steps), fault.what, expected))
    return values["header"], values["body"], {}


def _at(answer: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        if type(answer) is dict:
            answer = answer.get(step, _ABSENT)
        elif type(answer) is list and step.isascii() and step.isdecimal() and len(step) < 10 and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return _ABSENT
    return answer


def _in_message_form(plan: _Plan, answer: Any, request: Telegram, problems: list[FieldProblem]) -> _Given:
    """The message form of the reply, of which everything may be left out that the request has."""
    reply = request.message.reply.message
    if reply is None:
        raise ValueError(f"{request.message.name} has no reply")
    spec, name = request.spec, reply.name
    if type(answer) is not dict:
        problems.append(form_problem(spec.name, name, "", f"JSON is {json_type(answer)}", "an object"))
        return {}, {}, {}
    if answer.get("message", name) != name:
        problems.append(form_problem(spec.name, name, "/message", "not the reply to this request", name))
    header, body, residue = form_of(reply).read(answer, problems, whole=False)
    for field_name in (*spec.family.key, *spec.family.correlation):
        if field_name in header and header[field_name] != reply.codec.keys.get(field_name, request.header.get(field_name)):
            problems.append(
                form_problem(spec.name, name, f"/header/{field_name}", "makes another telegram's reply", "the request's own, or nothing")
            )
    return header, body, residue


def _missing(reply: Telegram, node: Node) -> FieldProblem:
    return form_problem(reply.spec.name, reply.message.name, f"/body/{node.name}", "value is missing", _expected(node))


def _expected(node: Node) -> str:
    if isinstance(node, PlannedField):
        return node.kind.expected
    return "an array" if isinstance(node, PlannedTable) else "an object"


def _unreadable(problems: Sequence[FieldProblem]) -> BackendError:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return BackendError(
        "E-BCK-06",
        f"answer cannot be read: {first.code}: {first.what}{more}",
        Delivery.SENT_UNKNOWN,
        where=first.path,
        expected=first.expected,
    )
