"""The text of a spec changes while telegrams are on their way: each exchange ends by the text that it began with."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from running_router import Host, Line, Running, keeps_silent, running
from running_router import HttpService as Rest
from running_router import http as http_answer

from telegram_router.plan import read_spec
from telegram_router.reloading import Report

SPEC = """
from construct import Struct
from telegram_router.telegrams import *

spec = Family(
    name="note",
    version="1",
    encoding="ascii",
    framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload"), header=10),
    header=Struct("type" / Code(4, required=True, log="clear"), "number" / Code(6, digits=True, required=True, log="clear")),
    key=("type",),
    correlation=("number",),
    errors=ErrorReply(field="body.outcome", not_sent="N", sent_unknown="U", message="refusal", set={"body.error_code": OUR_CODE}),
    messages=[
        Message("note.request", "note", ("0200",), Struct("amount" / Digits(4)), reply=Reply.one("note.response")),
        Message("note.response", "noted", ("0210",), Struct("result" / Code(2)), kind="reply"),
        Message(
            "refusal", "refused", ("0299",), Struct("outcome" / Code(1, required=True), "error_code" / Code(8, required=True)), kind="reply"
        ),
    ],
)
"""
# Longer requests and replies, a longer refusal, and one message more.
CHANGED = (
    SPEC.replace('version="1"', 'version="2"')
    .replace('"amount" / Digits(4)', '"amount" / Digits(8)')
    .replace('"result" / Code(2)', '"result" / Code(5)')
    .replace('"error_code" / Code(8, required=True)', '"error_code" / Code(8, required=True), "version" / Code(2)')
    .replace(
        "    ],\n)",
        '        Message("ask.request", "ask", ("0400",), Struct("what" / Code(2)), reply=Reply.one("note.response")),\n    ],\n)',
    )
)


def old(number: int) -> bytes:
    return b"00140200%06d%04d" % (number, 7)


def new(number: int) -> bytes:
    return b"00180200%06d%08d" % (number, 7)


def old_answer(number: int) -> bytes:
    return b"00120210%06dOK" % number


def new_answer(number: int) -> bytes:
    return b"00150210%06dFINE " % number


async def answers_both(line: Line, frame: bytes) -> None:
    await line.sends((old_answer if len(frame) == 18 else new_answer)(int(frame[8:14])))


def text(host: Host, listener: str = "", service: str = "") -> str:
    return f"""
        specs = "."
        drain = "500ms"
        [listeners.shops]
        address = "127.0.0.1:0"
        spec = "note"
        {listener}
        [services.core]
        backends = ["{host.address}"]
        timeout = "2s"
        reconnect_min = "10ms"
        {service}
        [[routes]]
        listener = "shops"
        service = "core"
        default = true
    """


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "note.py").write_text(SPEC, "utf-8")
    return tmp_path


async def change(router: Running, folder: Path, text: str = CHANGED) -> Report:
    (folder / "note.py").write_text(text, "utf-8")
    return await router.router.reload()


async def test_new_telegrams_follow_the_new_text_on_the_sessions_and_links_that_are_there(folder: Path):
    async with Host(answers_both, layout=read_spec(folder / "note.py")) as core, running(text(core), folder) as router:
        await router.linked("core")
        client = await router.connect("shops")
        assert await client.asks(old(1)) == old_answer(1)
        assert (await client.asks(new(2)))[14:15] == b"N"
        report = await change(router, folder)
        assert report.applied, report
        assert report.differences.changed == ("specs.note, its text",)
        assert not report.differences.restart
        assert await client.asks(new(3)) == new_answer(3)
        assert (await client.asks(old(4)))[4:8] == b"0299"
        assert len(core.lines) == 1
        assert not router.log.named("session_closed")
        assert (await router.router.reload()).differences.changed == ()


async def test_a_request_of_before_is_answered_by_the_text_that_it_began_with(folder: Path):
    async with Host(keeps_silent, layout=read_spec(folder / "note.py")) as core, running(text(core), folder) as router:
        await router.linked("core")
        client = await router.connect("shops")
        await client.sends(old(1))
        await core.reached()
        assert (await change(router, folder)).applied
        await client.sends(new(2))
        await core.reached(2)
        await core.line.sends(new_answer(2) + old_answer(1))
        assert await client.got() == new_answer(2)
        assert await client.got() == old_answer(1)
        service = router.switch.services["core"]
        assert service.pool.backends[core.address].answered == 2


async def test_an_answer_in_the_new_text_to_a_request_of_before_is_one_that_nobody_can_read(folder: Path):
    async with Host(keeps_silent, layout=read_spec(folder / "note.py")) as core, running(text(core), folder) as router:
        await router.linked("core")
        client = await router.connect("shops")
        await client.sends(old(1))
        await core.reached()
        await change(router, folder)
        await core.line.sends(new_answer(1))
        refusal = await client.got()
        assert refusal[4:8] == b"0299" and refusal[14:15] == b"U"
        [failed] = router.log.named("failed")
        assert (failed["code"], failed["delivery"]) == ("E-BCK-06", "sent_unknown")


async def test_a_request_of_before_is_refused_in_the_words_of_before(folder: Path):
    async with Host(keeps_silent, layout=read_spec(folder / "note.py")) as core, running(text(core), folder) as router:
        await router.linked("core")
        client = await router.connect("shops")
        await client.sends(old(1))
        await core.reached()
        await change(router, folder)
        await core.line.closes()
        assert len(await client.got()) == 4 + 10 + 9  # the new refusal is longer by two
        await router.linked("core")
        await client.sends(new(2))
        await core.reached(2)
        await core.line.closes()
        assert len(await client.got()) == 4 + 10 + 11


async def test_a_host_asks_and_the_session_answers_across_the_change(folder: Path):
    spec = SPEC.replace('correlation=("number",),', 'correlation=("number",),\n    owner="number",')
    changed = CHANGED.replace('correlation=("number",),', 'correlation=("number",),\n    owner="number",')
    (folder / "note.py").write_text(spec, "utf-8")
    back = '[[routes]]\nfrom_service = "core"\nto_listener = "shops"\ndefault = true\n'
    async with Host(keeps_silent, layout=read_spec(folder / "note.py")) as core, running(text(core) + back, folder) as router:
        await router.linked("core")
        client = await router.connect("shops")
        await client.sends(old(7))  # from now on the session speaks for this owner
        await core.reached()
        await core.line.sends(old_answer(7) + old(7))
        assert await client.got() == old_answer(7)
        assert await client.got() == old(7)
        assert (await change(router, folder, changed)).applied
        await client.sends(old_answer(7))
        await core.reached(2)
        assert core.frames[1] == old_answer(7)


async def test_an_http_service_answers_what_it_was_asked_by_the_former_text_and_the_next_by_the_new_one(folder: Path):
    release = trio.Event()

    async def rest(line: Line, _head: bytes) -> None:
        first = len(api.requests) == 1
        if first:
            await release.wait()
        await line.sends(http_answer({"header": {}, "body": {"result": "OK" if first else "FINE"}}))

    async with Rest(rest) as api:
        config = f"""
            specs = "."
            drain = "500ms"
            [listeners.shops]
            address = "127.0.0.1:0"
            spec = "note"
            [services.api]
            url = "http://{api.address}/x"
            timeout = "2s"
            response = {{ "body.result" = "body.result" }}
            [[routes]]
            listener = "shops"
            service = "api"
            match = {{ type = "0200" }}
        """
        async with running(config, folder) as router:
            client = await router.connect("shops")
            await client.sends(old(1))
            await router.until(lambda: len(api.requests) == 1)
            assert (await change(router, folder)).applied
            assert await client.asks(new(2)) == new_answer(2)
            release.set()
            assert await client.got() == old_answer(1)


@pytest.mark.parametrize(
    ("text", "code"),
    [(SPEC.replace("Digits(4)", "Digits("), "E-CFG-20"), (SPEC.replace('key=("type",)', 'key=("tipe",)'), "E-CFG-24")],
    ids=["no Python", "an unknown key"],
)
async def test_a_text_with_a_mistake_changes_nothing(folder: Path, text: str, code: str):
    async with Host(answers_both, layout=read_spec(folder / "note.py")) as core, running(globals()["text"](core), folder) as router:
        await router.linked("core")
        report = await change(router, folder, text)
        assert not report.applied
        assert {problem.code for problem in report.problems} == {code}
        client = await router.connect("shops")
        assert await client.asks(old(1)) == old_answer(1)


async def test_a_text_with_another_header_waits_for_a_restart_and_nothing_else_waits_for_it(folder: Path):
    async with Host(answers_both, layout=read_spec(folder / "note.py")) as core, running(text(core), folder) as router:
        await router.linked("core")
        client = await router.connect("shops")
        wider = SPEC.replace('"number" / Code(6,', '"number" / Code(8,')
        router.router.plan.path.write_text(text(core, service='pending_timeout = "2s"'), "utf-8")
        report = await change(router, folder, wider)
        assert report.applied
        assert report.differences.restart == ("specs.note",)
        assert report.differences.changed == ("services.core.pending_timeout",)
        [warning] = [each for each in report.warnings if each.key == "specs.note"]
        assert "header" in warning.what and "restart" in warning.do
        assert await client.asks(old(1)) == old_answer(1)
        assert (await change(router, folder, SPEC)).differences.restart == ()
