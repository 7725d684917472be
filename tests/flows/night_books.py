"""The books of a night: what the router said of every request, held against what really left and what was carried out."""

# What is checked:
#
# 1. No session was ended by us; every request got one answer, on the session that asked.
# 2. An answer is that of its own request, byte for byte, and its host has had the request.
# 3. No request left twice. What is "not sent" has not left, what is "unknown" has left, and to a host that had a fault meanwhile.
# 4. A request is unsent only where no host was to be had; a host in trouble is found out, and left alone, within its bound.
# 5. A host that is drained is given nothing; one that is well again is used again.

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from night_parties import ANSWERED, BACK, BASE, CONSECUTIVE, DETECTED, FAULTS, PENDING, Bank, Host, Spell, number_of, transfer
from running_router import answer_to, put
from running_router import field as field_of

PASSED_OVER = 45  # a request at a tenth of its weight counts as ten while its slow start goes on, and three others make up for it


@dataclass
class Sums:
    """What a night came to, for whoever runs many."""

    seed: int
    asked: int = 0
    answered: int = 0
    not_sent: int = 0
    unknown: int = 0
    late: int = 0
    retries: int = 0
    probes: int = 0
    beats: int = 0
    spells: Counter[str] = field(default_factory=Counter)
    slowest_detection: float = 0.0
    slowest_return: float = 0.0


class Books:
    """Of one night that is over. `judge` says where a promise was broken, and adds up the rest."""

    def __init__(self, sums: Sums, hosts: Iterable[Host], banks: Iterable[Bank], ended: float) -> None:
        """`ended`: when the last answer was due."""
        self.sums, self.hosts, self.banks, self.ended = sums, list(hosts), list(banks), ended
        self.begun = 0  # requests said to be unknown of which less left than their number
        self.left = self.all_that_left()
        self.torn = [number for host in self.hosts for link in host.links if (number := link.torn) is not None]

    def judge(self) -> None:
        for bank in self.banks:
            self.judge_bank(bank)
        for host in self.hosts:
            self.judge_host(host)
        assert self.sums.asked == self.sums.answered + self.sums.not_sent + self.sums.unknown

    def all_that_left(self) -> dict[int, tuple[Host, float]]:
        left: dict[int, tuple[Host, float]] = {}
        for host in self.hosts:
            for number, at in host.left:
                assert number not in left, f"{number} left twice"
                left[number] = host, at
            assert all(count == 1 for count in host.had.values())
            assert {number for number, _ in host.left} >= set(host.had)
        return left

    def judge_bank(self, bank: Bank) -> None:
        answers: dict[int, tuple[bytes, float]] = {}
        for frame, at in bank.told:
            number = number_of(frame)
            assert number in bank.asked and number not in answers, f"{number} was not asked here, or answered twice"
            answers[number] = frame, at
        assert answers.keys() == bank.asked.keys(), "requests without an answer"
        self.sums.asked += len(bank.asked)
        for number, (frame, told_at) in answers.items():
            asked_at = bank.asked[number]
            assert told_at - asked_at <= ANSWERED, f"{number} waited {told_at - asked_at:.1f} s"
            code = field_of(frame, "response_code")
            if code == "0000":
                self.sums.answered += 1
                assert frame == answer_to(transfer(number)), "not the answer to this request"
                assert self.left[number][0].had[number] == 1
            elif code == "VTIM":
                self.sums.unknown += 1
                assert frame == put(transfer(number), message_type=2100, response_code="VTIM")
                self.judge_unknown(number, asked_at, told_at)
            else:
                self.sums.not_sent += 1
                assert code in ("SB07", "SB05"), code
                assert number not in self.left and number not in self.torn, f"{number} is said not to be sent, and was"
                self.judge_unsent(number, code, asked_at, told_at)

    def judge_unknown(self, number: int, asked_at: float, told_at: float) -> None:
        if number not in self.left:
            self.begun += number not in self.torn
            assert self.begun <= self.torn.count(-1), f"{number} is said to be unknown, and never left"
            return
        host, sent_at = self.left[number]
        if sent_at - asked_at > PENDING and any(each.troubled(asked_at, sent_at, ("stalls",)) for each in self.hosts):
            return  # a host that read no more had held it up until little of its time was left
        assert host.troubled(sent_at, told_at, FAULTS), f"{number} is unknown though {host.name} was well"

    def judge_unsent(self, number: int, code: str, asked_at: float, told_at: float) -> None:
        if code == "SB05" and any(host.troubled(asked_at, told_at, ("stalls",)) for host in self.hosts):
            return  # its link had taken it before the host read no more, and its time was up before the link was
        well = [host.name for host in self.hosts if not host.troubled(asked_at - BACK, told_at)]
        assert not well, f"{number} was not sent though {well} could be had"

    def judge_host(self, host: Host) -> None:
        for spell in host.spells:
            within = [at for _, at in host.left if spell.begin < at < spell.end]
            if spell.kind in ("drained", "gone"):
                assert within == [], f"{host.name} was given something though it was {spell.kind}"
            elif spell.kind == "dies":
                assert within == [], f"{host.name} was given something though nobody could connect"
            elif spell.kind in ("hangs", "stalls"):
                latest = max((at - spell.begin for at in within), default=0.0)
                self.sums.slowest_detection = max(self.sums.slowest_detection, latest)
                assert latest <= DETECTED, f"{host.name} {spell.kind}, and was given something {latest:.1f} s later"
            elif spell.kind == "resets":
                others = [each for each in self.hosts if each is not host]
                resets = [at for at in host.resets if spell.begin <= at <= spell.end]
                # Half of three may be ejected, which is one: this one surely when no other was in trouble.
                if not any(each.troubled(spell.begin - BACK, spell.end, FAULTS) for each in others):
                    assert len(resets) <= CONSECUTIVE + 1 + (spell.end - spell.begin) / BASE, f"{host.name} was not ejected"
            self.judge_return(host, spell)

    def judge_return(self, host: Host, spell: Spell) -> None:
        """Once it has had its time to come back, a host is not passed over for long: its slow start may have put it in debt, which shrinks as its share grows."""
        again = min((at for _, at in host.left if at > spell.end), default=self.ended)
        disturbed = min((each.begin for each in host.spells if each.begin > spell.end), default=self.ended)
        until = min(again, disturbed)
        passed_over = sum(spell.end + BACK < at < until for other in self.hosts for _, at in other.left)
        assert passed_over <= PASSED_OVER, f"{host.name} was well again, and {passed_over} requests went elsewhere"
        if again < disturbed:
            self.sums.slowest_return = max(self.sums.slowest_return, again - spell.end)
