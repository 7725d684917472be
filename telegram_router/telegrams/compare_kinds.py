"""Whether the bytes of one field can be read as another: the rules by which two declarations are held against each other."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from telegram_router.telegrams.fields import Code, FieldFault, Filler, Fixed, Kind, Length, Text
from telegram_router.telegrams.fields.encodings import keeps_ascii
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout


class Answer(enum.Enum):
    """Do all telegrams still decode?"""

    YES = "yes"
    SOME = "some"
    NO = "no"


class Judgement(NamedTuple):
    """What a change does to old telegrams, and why."""

    answer: Answer
    why: str = ""


YES: Final = Judgement(Answer.YES)

Found = tuple[str, str, Judgement]  # what changed, how, and what that does

_WORDS_ONLY: Final = frozenset({"length", "log", "json", "enum", "plus"})  # told elsewhere, or of no matter to reading


def judge_same_place(was: PlannedField, now: PlannedField) -> Iterator[Found]:
    """What differs between two declarations, beyond place, length and words."""
    old, new = was.kind, now.kind
    if was.key is not None and now.key is not None:
        return  # the key of the message says it
    if type(old) is not type(new):
        yield "type", f"{_called(old)} -> {_called(new)}", _other_type(old, new)
        return
    for name in old.argument_types:
        before, after = getattr(old, name), getattr(new, name)
        follows = name == "digits" and was.length != now.length  # told by the length
        if name not in _WORDS_ONLY and before != after and not follows:
            yield _argument(name, before, after, old, new)


def _called(kind: Kind) -> str:
    return f"{type(kind).__name__} {kind.rule}"


def _other_type(old: Kind, new: Kind) -> Judgement:
    if isinstance(new, Text) and isinstance(old, Code | Fixed) and new.pad == b" " and new.align == "left" and not new.required:
        return YES
    if isinstance(new, Code) and isinstance(old, Fixed) and new.values is None and not new.digits:
        return YES
    return Judgement(Answer.SOME, "its type changed")


# --- arguments ----------------------------------------------------------------------------------------------------


def _argument(name: str, before: Any, after: Any, old: Kind, new: Kind) -> Found:
    if name == "values":
        return _codes(old, new)
    what = name if name in ("scale", "required", "encoding", "form") else "rule"
    judge = _JUDGES.get(name, _some)
    return what, f"{name} {_shown(before)} -> {_shown(after)}", judge(before, after)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, bytes | str) else "none" if value is None else str(value).lower()


def _some(before: Any, after: Any) -> Judgement:
    return Judgement(Answer.SOME, "")


def _no(before: Any, after: Any) -> Judgement:
    return Judgement(Answer.NO, "the same bytes mean another value")


def _stricter(before: Any, after: Any) -> Judgement:
    """A demand that is new rules some telegrams out; one that is gone rules none out."""
    return Judgement(Answer.SOME, "some values are refused now") if after else YES


def _looser(before: Any, after: Any) -> Judgement:
    return YES if after else Judgement(Answer.SOME, "blanks are refused now")


def _at_most(before: Any, after: Any) -> Judgement:
    return YES if after is None or (before is not None and after >= before) else Judgement(Answer.SOME, "some values are refused now")


def _at_least(before: Any, after: Any) -> Judgement:
    return YES if after is None or (before is not None and after <= before) else Judgement(Answer.SOME, "some values are refused now")


def _digits(before: Any, after: Any) -> Judgement:
    """How many digits are stored; of a code, whether it must be all digits."""
    return _stricter(before, after) if isinstance(after, bool) else _at_most(before, after)


def _blank(before: Any, after: Any) -> Judgement:
    if before == "error":
        return YES
    return Judgement(Answer.SOME, "blanks are refused now" if after == "error" else "blanks mean something else now")


def _encoding(before: Any, after: Any) -> Judgement:
    if (before or "ascii") == "ascii" and keeps_ascii(after or "ascii"):
        return YES
    return Judgement(Answer.SOME, "characters are read by another code page")


_JUDGES: Final[Mapping[str, Callable[[Any, Any], Judgement]]] = {
    "scale": _no,
    "sign": _no,
    "order": _no,
    "nibble_sign": _no,
    "value": _no,
    "required": _stricter,
    "check": _stricter,
    "strict": _stricter,
    "or_blank": _looser,
    "least": _at_least,
    "min": _at_least,
    "most": _at_most,
    "max": _at_most,
    "digits": _digits,
    "blank": _blank,
    "encoding": _encoding,
}


def _codes(old: Kind, new: Kind) -> Found:
    """Codes that came and went, and meanings that changed."""
    before, after = _meanings(old), _meanings(new)
    if before is None or after is None:
        text = "any code -> " + ", ".join(after) if after is not None else "declared codes -> any code"
        return "codes", text, YES if after is None else Judgement(Answer.SOME, "other codes are refused now")
    gone, come = [c for c in before if c not in after], [c for c in after if c not in before]
    renamed = [c for c in before if c in after and before[c] != after[c]]
    told = [f"removed {', '.join(gone)}" if gone else "", f"added {', '.join(come)}" if come else ""]
    told.append("; ".join(f"{c} means {after[c] or 'nothing'}, was {before[c] or 'nothing'}" for c in renamed))
    return "codes", "; ".join(filter(None, told)), Judgement(Answer.SOME, f"{', '.join(gone)} refused now") if gone else YES


def _meanings(kind: Kind) -> dict[str, str] | None:
    """Declared codes with their meanings, None when any code will do. A range counts as one."""
    given = getattr(kind, "values", None)
    if given is None:
        return None
    names = given if isinstance(given, Mapping) else dict.fromkeys(given, "")
    return {" to ".join(code) if isinstance(code, tuple) else str(code): str(name) for code, name in names.items()}


# --- sizes and blanks -----------------------------------------------------------------------------------------------


def judge_resized(was: PlannedField, now: PlannedField, old: MessageLayout) -> Judgement:
    """A field that begins where it did and ends elsewhere."""
    if was.is_opaque and now.is_opaque:
        return YES
    stripped = isinstance(was.kind, Text | Code) and isinstance(now.kind, Text | Code) and getattr(was.kind, "align", "left") == "left"
    if not stripped:
        return Judgement(Answer.NO, "read from other bytes")
    if now.length < was.length:
        return Judgement(Answer.SOME, "longer texts are cut")
    between = [each for each in old.fields if was.end <= each.offset < now.end]
    if all(isinstance(each.kind, Filler) for each in between) and getattr(was.kind, "pad", b" ") == b" ":
        return YES
    return Judgement(Answer.NO, "read from other bytes")


def blank_judgement(planned: PlannedField, encoding: str) -> Judgement:
    """A field where blanks stood."""
    if isinstance(planned.kind, Length):
        return Judgement(Answer.NO, f"{planned.path}: blanks are no length")
    try:
        value = planned.kind.read(" ".encode(encoding) * planned.length)
    except FieldFault:
        return Judgement(Answer.NO, f"{planned.path}: the blanks that stood there are refused")
    if value in (None, "", 0) or not planned.name:
        return YES
    return Judgement(Answer.SOME, f"{planned.path}: the blanks that stood there are read as a value")
