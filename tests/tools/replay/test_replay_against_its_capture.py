"""A capture replayed against what is simulated from it: the simulator knows rewritten requests, and whom they refer to."""

from __future__ import annotations

import pytest
from replay_kit import SPEC, Sheet, part, sample
from test_replay_rewriting import NOON, rewriter

from telegram_router.tools.replay.steps import Selection, Step, Steps
from telegram_router.tools.simulate.learned import learn
from telegram_router.tools.simulate.renumbered import Renumbered


def inquired() -> Sheet:
    """Three equal transfers, and an inquiry about each, answered in another way."""
    sheet = Sheet()
    for number in ("000001", "000002", "000003"):
        sheet.ask(0.1, sample("transfer.request", message_number=number), sample("transfer.response", message_number=number))
    for number, original in (("000004", "000001"), ("000005", "000002"), ("000006", "000003")):
        asked = {"message_number": number, "original_number": original}
        sheet.ask(1.0, sample("result.request", **asked), sample("result.response", **asked, response_code="921" + original[-1]))
    return sheet


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (2, 0, 1, 5, 4, 3), (1, 4, 0, 3, 2, 5)])
def test_an_inquiry_under_new_numbers_gets_the_answer_about_the_same_transfer(order: tuple[int, ...]):
    reader = inquired().reader()
    learned, renumbered, ours = learn(SPEC, [*reader]), Renumbered(SPEC), rewriter()
    again = inquired().reader()
    steps = [each for each in Steps(again, again.head, SPEC, Selection()) if isinstance(each, Step)]
    used: dict[object, int] = {}
    meant: dict[str, str] = {}  # the number now -> the one that the simulator took it for
    for place in order:
        step = steps[place]
        frame = ours.rebuilt(step, NOON)
        found = learned.find(step.message, frame, used, renumbered)
        assert found is not None
        reply = learned.reply(found, frame)
        assert part(reply, "message_number") == part(frame, "message_number")
        if step.message.name == "transfer.request":
            assert part(found.request, "message_number") not in meant.values()
            meant[part(frame, "message_number")] = part(found.request, "message_number")
            continue
        assert part(reply, "original_number") == part(frame, "original_number")
        assert part(reply, "response_code") == "921" + meant[part(frame, "original_number")][-1]


def test_an_inquiry_about_what_was_never_asked_gets_no_answer_of_another():
    learned, renumbered = learn(SPEC, [*inquired().reader()]), Renumbered(SPEC)
    stranger = sample("result.request", message_number="000900", original_number="000901")
    message = SPEC.messages["result.request"]
    assert learned.find(message, stranger, {}, renumbered) is None
