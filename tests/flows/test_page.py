"""The admin page in a headless Chromium: what it shows, what it orders, and what it never becomes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from browser import Browser, Page, Process, browsing, chromium, chromium_process
from free_ports import free_port
from running_router import Host, Running, answer_to, answers, betrayed, config, running, transfer

from telegram_router.errors import CODES
from telegram_router.ops.page_files import POLICY, page_files
from telegram_router.routing.backends import Admin

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs chromium")

ADMIN = '[admin]\naddress = "127.0.0.1:0"\n'
OPERATOR, VIEWER = "operator-token-1234", "viewer-token-123456"
COMMANDS_ONLY = ("IMP", "CAP", "RPL", "SIM")  # families of codes that only commands print
HOSTILE = "<img src=x>"  # as long as the company number allows


def url_of(router: Running, view: str = "") -> str:
    return f"http://{router.router.admin_place}/{view and '#' + view}"


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with chromium_process() as found:
        yield found


@asynccontextmanager
async def shown(text: str, tmp_path: Path, process: Process, **how: Any) -> AsyncIterator[tuple[Running, Browser, Page]]:
    """A router, a browser, and the page in it once it has looked at the router."""
    async with running(text, tmp_path) as router, browsing(process) as browser:
        page = await browser.open(url_of(router), **how)
        await page.until("document.querySelector('#services .card .facts span')")
        yield router, browser, page
        assert not page.wrong


def probed(core: Host, other_port: int) -> str:
    """Two services, each with a backend that is probed many times a second."""
    health = '[services.{}.health]\nprobe = "connect"\ninterval = "100ms"\nfast = "50ms"\nfall = 2\n'
    spare = (
        f'[services.spare]\nspec = "firmbanking"\nbackends = ["127.0.0.1:{other_port}"]\nreconnect_max = "50ms"\nreconnect_min = "10ms"\n'
    )
    return config(core) + spare + health.format("spare").replace('fast = "50ms"\n', "") + ADMIN


async def doomed_host(task_status: trio.TaskStatus[tuple[Host, trio.CancelScope]] = trio.TASK_STATUS_IGNORED) -> None:
    """A host that dies with the scope that it is started with."""
    with trio.CancelScope() as scope:
        async with Host() as host:
            task_status.started((host, scope))
            await trio.sleep_forever()


async def test_a_backend_that_dies_is_shown_as_down_within_two_seconds(tmp_path: Path, process: Process):
    async with Host() as core, trio.open_nursery() as nursery:
        doomed, life = await nursery.start(doomed_host)
        async with shown(probed(core, doomed.port), tmp_path, process) as (router, _, page):
            row = f"document.querySelector('tr[data-backend=\"{doomed.address}\"]')"
            await page.until(f"{row}?.innerText.includes('up')")
            client = await router.connect()
            assert await client.asks(transfer(1)) == answer_to(transfer(1))
            life.cancel()
            await page.until(f"/down|unreachable/.test({row}.innerText) && {row}.className === 'bad'", seconds=2.0)
            await page.until(f"{row}.innerText.includes('down')")
            await page.until("document.querySelector('#resultchart').innerText.includes('ok')")


async def test_a_backend_is_drained_by_keyboard_after_a_confirmation(tmp_path: Path, process: Process):
    async with Host() as core, shown(config(core) + ADMIN, tmp_path, process) as (router, _, page):
        backend = router.switch.services["core"].pool.backends[core.address]
        await page.tabs_to(f"e.getAttribute('aria-label') === 'Actions for {core.address}'")
        await page.press("Enter")
        assert await page.says("document.querySelector('#order').open && document.activeElement.value") == "ready"
        await page.press("ArrowDown")
        assert await page.says("document.activeElement.value") == "drain"
        await page.until("document.querySelector('#order').innerText.includes('last backend')")
        await page.press("Escape")  # changed my mind
        assert backend.admin.value == "ready" and not await page.says("document.querySelector('#order').open")
        assert await page.says(f"document.activeElement.getAttribute('aria-label') === 'Actions for {core.address}'")
        await page.press("Enter")
        await page.press("ArrowDown")
        await page.tabs_to("e.type === 'submit'", most=4)
        await page.press("Enter")
        await router.until(lambda: backend.admin.value == "drain")
        await page.until("document.querySelector('#services').innerText.includes('drain')")
        await page.until("!document.querySelector('#order').open")
        (line,) = router.log.named("operator_action")
    assert (line["action"], line["backend"], line["after"]["state"]) == ("order_backend", core.address, "drain")


async def test_messages_and_listeners_are_ordered_and_what_differs_from_the_file_is_marked(tmp_path: Path, process: Process):
    async with Host() as core, shown(config(core) + ADMIN, tmp_path, process) as (router, _, page):
        await page.says("document.querySelector('#services [aria-label=\"Switch a message off or on: core\"]').click()")
        await page.says("(s => { s.value = 'transfer.request' })(document.querySelector('#ordermessage'))")
        await page.says("document.querySelector('#order form').requestSubmit()")
        await page.until("document.querySelector('#halted').innerText.includes('transfer.request')")
        assert "transfer.request" in router.switch.services["core"].halted
        await page.says("document.querySelector('#halted button').click(); document.querySelector('#order form').requestSubmit()")
        await page.until("!document.querySelector('#halted').innerText")
        assert not router.switch.halted
        await page.says("document.querySelector('#listeners button').click(); document.querySelector('#order form').requestSubmit()")
        await page.until("document.querySelector('#listeners').innerText.includes('differs from the file')")
        assert not router.router.acceptors["companies"].accepting
        await page.says("document.querySelector('#listeners button').click(); document.querySelector('#order form').requestSubmit()")
        await page.until("document.querySelector('#listeners').innerText.includes('accepting')")
        actions = [line["action"] for line in router.log.named("operator_action")]
    assert actions == ["switch_message", "switch_message", "drain_listener", "open_listener"]


ORDER = "document.querySelector('#order')"
SUBMIT = f"{ORDER}.querySelector('[type=submit]')"


async def test_a_reload_is_shown_before_it_is_applied_by_keyboard_and_a_broken_file_is_not(tmp_path: Path, process: Process):
    async with Host() as core, shown(config(core) + ADMIN, tmp_path, process) as (router, _, page):
        path = router.router.plan.path
        sound = path.read_text("utf-8")
        path.write_text(sound.replace("[services.core]", '[services.core]\nlinks = "many"', 1), "utf-8")
        await page.tabs_to("e.id === 'reload'")
        await page.press("Enter")
        await page.until(f"{ORDER}.innerText.includes('services.core.links') && {ORDER}.innerText.includes('E-CFG-04')")
        assert await page.says(f"{SUBMIT}.disabled")
        await page.press("Escape")
        assert await page.says("document.activeElement.id") == "reload"
        path.write_text(sound.replace("[services.core]", '[services.core]\nmax_frame = "32KiB"', 1), "utf-8")
        await page.press("Enter")
        await page.until(f"{ORDER}.innerText.includes('services.core') && !{SUBMIT}.disabled")
        assert not router.log.named("reloaded"), "it is shown first"
        await page.tabs_to("e.type === 'submit'", most=4)
        await page.press("Enter")
        await page.until(f"!{ORDER}.open")
        (line,) = router.log.named("reloaded")
    assert line["changed"] == ["services.core"] or line["changed"] == ["services.core.max_frame"]


async def test_services_and_the_router_are_taken_out_of_use_and_into_it_and_returned_to_their_best_backend(
    tmp_path: Path, process: Process
):
    async with Host() as first, Host() as second:
        backends = f'backends = [{{ address = "{first.address}" }}, {{ address = "{second.address}", priority = 1 }}]'
        text = config(first).replace(f'backends = ["{first.address}"]', f'{backends}\nfailover = {{ failback = "manual" }}') + ADMIN
        async with shown(text, tmp_path, process, language="ko-KR") as (router, _, page):
            await router.linked("core")
            service = router.switch.services["core"]

            async def orders(value: str) -> None:
                await page.says("document.querySelector('#services [aria-label=\"core 조치\"]').click()")
                await page.says(f"{ORDER}.querySelector('[value={value}]').click(); {ORDER}.querySelector('form').requestSubmit()")
                await page.until(f"!{ORDER}.open")

            best = service.pool.backends[first.address]
            await page.says("document.querySelector('#services [aria-label=\"core 조치\"]').click()")
            assert await page.says(f"{ORDER}.querySelector('[value=failback]').disabled")
            assert await page.says(f"{SUBMIT}.disabled"), "nothing is chosen yet"
            await page.press("Escape")
            for state in (Admin.MAINT, Admin.READY):
                router.router.hub.enter(lambda now, state=state: router.switch.order(service, best.name, state, now))
                await router.until(lambda: service.pool.priority == 1)
            await page.until("document.querySelector('#services .facts').innerText.includes('우선순위 1')")
            await orders("failback")
            assert service.pool.priority == 0
            await orders("demote")
            await page.until("document.querySelector('#services').innerText.includes('예비 서비스')")
            await orders("promote")
            await page.until("!document.querySelector('#services').innerText.includes('예비 서비스')")
            for standby, word in (("standby", "예비"), ("active", "준비됨")):
                await page.says(f"document.querySelector('#standing').click(); {ORDER}.querySelector('form').requestSubmit()")
                await router.until(lambda standby=standby: router.router.standing_by()[0] == standby)
                await page.until(f"!{ORDER}.open && document.querySelector('#state').innerText.startsWith('{word} ·')")
            actions = [line["action"] for line in router.log.named("operator_action")]
    assert actions == ["failback", "demote", "promote", "demote", "promote"]


def test_every_code_that_a_running_router_tells_of_has_its_korean_meaning():
    text = page_files()["/codes.js"][1].decode()
    found = dict(re.findall(r'^  "(E-[A-Z]+-\d\d)": (\[".+", ".+"\]),$', text, re.MULTILINE))
    assert len(found) == text.count("\n  ")
    told = {code for code in CODES if code.split("-")[1] not in COMMANDS_ONLY}
    assert set(found) == told
    for code, row in found.items():
        title, todo = json.loads(row)
        assert re.search("[가-힣]", title) and re.search("[가-힣]", todo), code


async def test_errors_are_explained_in_korean_too(tmp_path: Path, process: Process):
    async with Host() as core, shown(config(core) + ADMIN, tmp_path, process, language="ko-KR") as (router, _, page):
        client = await router.connect()
        await client.sends(transfer(1).replace(b"2000100", b"2000999"))
        await client.got()
        await page.says("[...document.querySelectorAll('nav button')][2].click()")
        await page.until("document.querySelector('#errortable button.small')")
        await page.says("document.querySelector('#errortable button.small').click()")
        detail = "document.querySelector('#errordetail').innerText"
        await page.until(f"{detail}.includes('이 전문에 맞는 경로가 없음') && {detail}.includes('조치 방법: 전문구분')")


async def test_whatever_names_and_telegrams_hold_stays_text_and_the_policy_holds(tmp_path: Path, process: Process):
    async def silent_at_first(line: Any, frame: bytes) -> None:
        if hostile not in frame:
            await answers(line, frame)

    hostile = HOSTILE.encode()
    frame = bytearray(transfer(1))
    place = 4 + 9
    frame[place : place + 12] = hostile.ljust(12)
    async with Host(silent_at_first) as core, shown(config(core) + ADMIN, tmp_path, process) as (router, browser, page):
        tail = await browser.open(url_of(router, "tail"))
        await tail.until("document.querySelector('nav [aria-current]')")
        await tail.says("document.querySelector('#tailstart').click()")
        await router.until(lambda: router.switch.tap is not None)
        client = await router.connect()
        await client.sends(bytes(frame))
        await client.got()
        await tail.until(f"document.querySelector('#tailtable').innerText.includes('{HOSTILE}')")
        errors = await browser.open(url_of(router, "errors"))
        await errors.until("document.querySelector('#errortable button.small')")
        await errors.says("document.querySelector('#errortable button.small').click()")
        await errors.until(f"document.querySelector('#errordetail').innerText.includes('{HOSTILE}')")
        assert "unknown" in await errors.says("document.querySelector('#errordetail').innerText")
        for each in (page, tail, errors):
            assert await each.says("document.querySelectorAll('img, main script').length") == 0
            assert not each.wrong
        # What an injection would have to do is refused by the browser itself.
        assert await page.says("(() => { try { document.body.innerHTML = '<b>x</b>' } catch (e) { return e.name } })()") == "TypeError"
        blocked = "fetch('http://127.0.0.2:1/').catch(() => 'blocked')"
        assert await page.says(blocked) == "blocked"
        await page.says("document.head.append(document.createElement('base'))")
        await page.until("true")
        assert any("Content Security Policy" in each for each in page.wrong)
        page.wrong.clear()
        assert not betrayed(await tail.says("document.body.innerText"))


def test_the_page_is_of_one_piece_and_has_no_handlers_in_its_html():
    files = {path: content.decode() for path, (_, content) in page_files().items()}
    assert {"/", "/page.js", "/page.css"} <= files.keys()
    assert "default-src 'none'" in POLICY and "unsafe" not in POLICY
    page = files["/"]
    assert " on" not in page.replace(" only", "").replace(" on</", "").replace("one", "").split("<body>")[0]
    assert "style=" not in page and "javascript:" not in page
    for path, text in files.items():
        assert "://" not in text.replace("http://www.w3.org/2000/svg", ""), path
        assert "innerHTML" not in text and "insertAdjacentHTML" not in text and "eval(" not in text, path


async def test_a_token_is_asked_for_and_a_viewer_gets_no_buttons(tmp_path: Path, process: Process):
    for name, token in (("operator", OPERATOR), ("viewer", VIEWER)):
        (tmp_path / name).write_text(token)
        (tmp_path / name).chmod(0o600)
    admin = ADMIN + 'token_file = "operator"\nviewer_token_file = "viewer"\n'
    async with Host() as core, running(config(core) + admin, tmp_path) as router, browsing(process) as browser:
        page = await browser.open(url_of(router))
        await page.until("document.querySelector('#login').open && document.activeElement.id === 'token'")
        await page.types("wrong-token-wrong-token")
        await page.press("Enter")
        await page.until("document.querySelector('#loginwrong').innerText")
        for token, role in ((VIEWER, "viewer"), (OPERATOR, "operator")):
            await page.until("document.querySelector('#login').open")
            await page.types(token)
            await page.press("Enter")
            await page.until(f"document.querySelector('#role').innerText === '{role}' && document.querySelector('#services .card')")
            for place, most in (("#topology", 5), ("#routeracts", 2)):
                buttons = await page.says(f"[...document.querySelectorAll('{place} button')].filter(b => b.offsetParent).length")
                assert buttons == (most if role == "operator" else 0)
            assert await page.says("document.cookie + Object.values(localStorage).join()") == ""
            await page.says("document.querySelector('#signout').click()")
        assert OPERATOR not in router.log.text and VIEWER not in router.log.text
        await page.until("document.querySelector('#login').open")
        assert all("401" in each for each in page.wrong)


async def test_a_pasted_telegram_is_explained_and_written_nowhere(tmp_path: Path, process: Process):
    async with Host() as core, shown(config(core) + ADMIN, tmp_path, process, language="ko-KR") as (router, _, page):
        assert await page.says("document.documentElement.lang") == "ko"
        await page.says("[...document.querySelectorAll('nav button')].at(-1).click()")
        await page.says(f"document.querySelector('#inspecttext').value = '{transfer(1).hex()}'")
        await page.says("document.querySelector('#inspectform').requestSubmit()")
        await page.until("document.querySelector('#inspected table')", seconds=15)
        explained = await page.says("document.querySelector('#inspected').innerText")
        log = router.log.text
    assert betrayed(explained)  # who pastes it may see all of it
    assert not betrayed(log) and "이상 없음" in explained


def large(core: Host, services: int = 20, backends: int = 10, routes: int = 500) -> str:
    """A configuration of 200 backends and 500 routes; nobody answers at most of them."""
    nobody = free_port()
    text = config(core)
    for number in range(services - 1):
        places = json.dumps([f"127.0.{number}.{place + 1}:{nobody}" for place in range(backends)])
        text += f'[services.system-{number}]\nspec = "firmbanking"\nbackends = {places}\nreconnect_min = "10s"\nreconnect_max = "20s"\n'
    for number in range(routes - 1):
        match = f'{{ message_type = "2000", business_code = "100", company_number = "C{number:05}" }}'
        text += f'[[routes]]\nname = "r{number}"\nlistener = "companies"\nservice = "system-{number % (services - 1)}"\nmatch = {match}\n'
    return text + ADMIN


async def test_200_backends_and_500_routes_are_found_and_fit_the_screen(tmp_path: Path, process: Process):
    async with Host() as core, shown(large(core), tmp_path, process) as (router, browser, wide):
        narrow = await browser.open(url_of(router), width=400, language="ko-KR", dark=True)
        for page, width in ((wide, 1280), (narrow, 400)):
            await page.until("document.querySelectorAll('#services > .card').length === 20")
            await page.says("document.querySelector('#unfold').click()")
            rows = "document.querySelectorAll('#services tbody tr').length === 191"
            await page.until(f"{rows} && document.querySelectorAll('#routes tbody tr').length === 500")
            assert await page.says("document.documentElement.scrollWidth") <= width
            await page.says("document.querySelector('#filter').focus()")
            await page.types("127.0.7.3")
            seen = "[...document.querySelectorAll('#services tbody tr')].filter(row => row.offsetParent).map(row => row.dataset.backend)"
            await page.until(f"{seen}.length === 1")
            assert (await page.says(seen))[0].startswith("127.0.7.3:")
        assert await narrow.says("document.querySelector('#language').value") == "ko" and not narrow.wrong
        await narrow.says("(s => { s.value = 'en'; s.dispatchEvent(new Event('change')) })(document.querySelector('#language'))")
        await narrow.asks("Page.reload")
        await narrow.until("document.querySelector('#language')?.value === 'en' && document.documentElement.lang === 'en'")


async def test_the_page_says_that_the_router_is_gone_and_goes_on_when_it_is_back(tmp_path: Path, process: Process):
    async with Host() as core, browsing(process) as browser:
        text = config(core) + ADMIN.replace(":0", f":{free_port()}")
        async with running(text, tmp_path) as router:
            page = await browser.open(url_of(router))
            await page.until("document.querySelector('#services .card')")
        await page.until("!document.querySelector('#lost').hidden")
        async with running(text, tmp_path):
            await page.until("document.querySelector('#lost').hidden")
