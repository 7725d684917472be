"""Parts with the sessions of a listener while the router goes on: each at a telegram boundary, spread over a time."""

# Rules this file keeps, all of them tested:
#
# 1. A session ends when nothing of it is open: no request, no answer, no half of a telegram.
# 2. One that never comes to that is ended when its patience is over: it is read no more, and its answers still go out.
# 3. Sessions leave one after the other, so that they do not all come back to the next router in the same second.
# 4. Whoever parts with a session does so by `Hub.part_with`, the one place where it may be told goodbye.

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from zlib import crc32

import trio

from telegram_router.routing import Listener, Peer
from telegram_router.routing.changing import is_busy
from telegram_router.wire.connection import Stage
from telegram_router.wire.hub import Hub
from telegram_router.wire.telegram_connection import TelegramConnection

REASON = "drained"
AGED = "max_session_age"
LOOK = 0.05  # seconds between two looks for sessions that may leave
AT_ONCE = 64  # sessions in one step of the hub
LINKS_AT_ONCE = 4  # in one step of the hub
LOOK_FOR_OLD = 1.0
JITTER = 0.1  # of the age at which a session leaves


def sessions_of(hub: Hub, listener: str | Listener) -> list[TelegramConnection]:
    """The sessions of that name, or of this very listener, that nobody parts with yet, oldest first."""
    return [
        each
        for each in hub.connections.values()
        if isinstance(each, TelegramConnection)
        and each.is_session
        and (each.name.rpartition("#")[0] == listener or (each.peer is not None and each.peer.group is listener))
        and each.stage in (Stage.HANDSHAKE, Stage.OPEN)
    ]


def is_idle(session: TelegramConnection) -> bool:
    """Whether it can leave and nothing is missed: all that it sent has been answered, all that it was asked as well."""
    peer = session.peer
    if session.stage is Stage.HANDSHAKE or peer is None:
        return True
    whole = session.partial_since is None and not session.backlogged and not peer.paused
    return whole and not (peer.open or peer.load or peer.outbox or session.cipher)


async def part(hub: Hub, listener: str | Listener, over: float, patience: float, reason: str = REASON) -> None:
    """Return when every session has been parted with: the last one's turn comes after `over` seconds, and each may be busy
    for `patience` seconds more."""
    while found := sessions_of(hub, listener):
        await _part_with(hub, _turns(found, hub.clock(), over), patience, reason)
        over = 0.0  # for those who had come in, and whom the hub did not know yet


async def _part_with(hub: Hub, turns: list[tuple[TelegramConnection, float]], patience: float, reason: str) -> None:
    while turns:
        now = hub.clock()
        leaving = [each for each, at in turns if at <= now and (is_idle(each) or at + patience <= now)][:AT_ONCE]
        if leaving:
            hub.enter(partial(_end, hub, leaving, reason))
        await trio.sleep(LOOK)
        turns = [(each, at) for each, at in turns if each not in leaving and each.stage in (Stage.HANDSHAKE, Stage.OPEN)]


def _turns(sessions: list[TelegramConnection], began: float, over: float) -> list[tuple[TelegramConnection, float]]:
    """When each one's turn comes, evenly over the time; with one session it comes at once."""
    step = over / max(1, len(sessions) - 1)
    return [(session, began + step * place) for place, session in enumerate(sessions)]


def _end(hub: Hub, sessions: list[TelegramConnection], reason: str, now: float) -> None:
    for session in sessions:
        hub.part_with(session, reason, now)


async def part_with_old(hub: Hub, ages: Callable[[], Mapping[str, float]], patience: Callable[[], float]) -> None:
    """For ever, part with sessions that are older than their listener allows. `ages`: by listener; `patience`: for those that are busy."""
    while True:
        await trio.sleep(LOOK_FOR_OLD)
        now = hub.clock()
        for name, age in ages().items():
            overdue = [(each, now - each.opened_at - age * _jitter(each.name)) for each in sessions_of(hub, name) if each.peer is not None]
            leaving = [each for each, over in overdue if over >= patience() or (over >= 0 and is_idle(each))][:AT_ONCE]
            if leaving:
                hub.enter(partial(_end, hub, leaving, AGED))


def _jitter(name: str) -> float:
    """Its own for each session, always the same one: sessions that came together do not leave together."""
    return 1.0 + JITTER * (2.0 * crc32(name.encode()) / 0xFFFFFFFF - 1.0)


async def part_with_links(hub: Hub, links: list[Peer], patience: float, reason: str) -> None:
    """Close links that are given nothing more once what they were given is answered; the last ones when the time is over."""
    due = hub.clock() + patience
    while links := [each for each in links if _is_open(hub, each)]:
        hub.enter(partial(_end_links, hub, links, due, reason))
        await trio.sleep(LOOK)


def _is_open(hub: Hub, link: Peer) -> bool:
    connection = hub.by_peer.get(link)
    return connection is not None and connection.stage is Stage.OPEN


def _end_links(hub: Hub, links: list[Peer], due: float, reason: str, now: float) -> None:
    closed = 0
    for link in links:
        connection = hub.by_peer.get(link)
        if connection is None or connection.stage is not Stage.OPEN or closed == LINKS_AT_ONCE:
            continue
        if now < due and (is_busy(link) or connection.cipher or hub.switch.conductor.leave(link, now)):
            continue
        closed += 1
        if now >= due or not isinstance(connection, TelegramConnection):
            hub.drop(connection, reason)  # nothing of an HTTP connection is left to be read
        else:
            connection.finish(reason, now)
