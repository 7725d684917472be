"""What bad neighbours cost a good session, in turns of the hub and in telegrams: on a clock that stands still nothing depends on the machine.

The figures of real processes are those of `tests/benchmarks/bench_neighbours.py`.
"""

from __future__ import annotations

from collections import Counter

from hub_kit import World, answered, reply, request

from telegram_router.routing import ServicePolicy
from telegram_router.wire.connection import Limits

CODES = ("TR", "DP", "CR")


def turns_of_an_exchange(world: World, number: int) -> int:
    """Turns of the hub from a request of the last client to its answer."""
    *_, host, good = world.ends
    good.says(request(number))
    turns = 0
    while not host.far.peek():
        world.turn()
        turns += 1
    host.got()
    host.says(reply(number))
    while not good.far.peek():
        world.turn()
        turns += 1
    assert good.got() == answered(number)
    return turns


def test_two_hundred_that_dribble_cost_a_good_session_not_one_turn():
    world = World(limits=Limits(frame_timeout=10.0))
    dribblers = [world.client() for _ in range(200)]
    world.host()
    world.client()
    alone = turns_of_an_exchange(world, 1)
    message = request(900_000, body=bytes(100))
    for second in range(9):
        for dribbler in dribblers:
            dribbler.says(message[second : second + 1])
        assert turns_of_an_exchange(world, second + 2) == alone
        world.now += 1.0
    world.passes(2.0)
    assert all(dribbler.far.ended for dribbler in dribblers)
    assert turns_of_an_exchange(world, 100) == alone
    assert world.hub.framing_errors == {("branches", "E-FRM-06"): 200}
    world.close()


def answers_by_code(silent: str, clients: int = 20, window: int = 64, rounds: int = 30) -> Counter[str]:
    """Sessions that keep their windows open on three codes, round by round; how many answers came for each code."""
    policy = ServicePolicy(timeout=2.0, in_flight=2048, pending=1024)
    world = World({code.lower(): [code] for code in CODES}, policies={code.lower(): policy for code in CODES})
    hosts = {code: world.host(code.lower()) for code in CODES}
    banks = [world.client() for _ in range(clients)]
    done: Counter[str] = Counter()
    number = 0
    code_of: dict[int, str] = {}
    wanted = {bank: [CODES[place % 3] for place in range(window)] for bank in banks}
    for _ in range(rounds):
        for place, bank in enumerate(banks):
            asked = []
            for code in wanted[bank]:
                number += 1
                code_of[number] = code
                asked.append(request(number, code=code, company=f"C{place:03}"))
            bank.sends(*asked)
        for code, host in hosts.items():
            frames = host.got_frames()
            if code != silent:
                host.sends(*(reply(int(frame[14:20]), code=code, company=frame[10:14].decode()) for frame in frames))
        for bank in banks:
            told = bank.got()
            wanted[bank] = [code_of[each.number] for each in told]
            done.update(code_of[each.number] for each in told if each.kind == "reply")
        world.passes(0.1)
    for end in world.ends:
        end.far.reset()
    world.settle()
    world.passes(3.0)
    world.close()
    return done


def test_one_service_that_never_answers_takes_nothing_of_the_others():
    before, after = answers_by_code(""), answers_by_code("TR")
    assert after["TR"] == 0
    for code in ("DP", "CR"):
        assert after[code] >= 0.9 * before[code] > 1000
