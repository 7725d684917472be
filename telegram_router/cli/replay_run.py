"""`replay run`: from the command line to a replay, and from its tally to summary, report and exit code."""

from __future__ import annotations

import datetime
import gc
import random
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import trio

from telegram_router.cli.capture_inputs import exit_code as damage_code
from telegram_router.cli.capture_inputs import reading, spec_for, tell_findings
from telegram_router.cli.capture_masking import key_of
from telegram_router.cli.client_tls import client_tls
from telegram_router.cli.exit_codes import EXIT_BUG, EXIT_DIFFERS, EXIT_THRESHOLD, EXIT_UNREACHABLE, EXIT_USAGE, first_of, of_capture
from telegram_router.cli.replaying import names_of
from telegram_router.cli.shown import say, say_json
from telegram_router.errors import ConfigError, RouterError
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_records import CaptureError, Record, zone_of
from telegram_router.telegrams import Spec
from telegram_router.telegrams.pseudonyms import Pseudonyms
from telegram_router.tools.predicate import parse
from telegram_router.tools.replay import pacing, thresholds
from telegram_router.tools.replay.comparing import Comparer
from telegram_router.tools.replay.dialling import addresses_of, dialler
from telegram_router.tools.replay.dry_run import dry_run
from telegram_router.tools.replay.exchanges import Conduct, Dial, Side
from telegram_router.tools.replay.guard import check_target
from telegram_router.tools.replay.masks import Masks, read_masks
from telegram_router.tools.replay.remembering import Entry, Sequences
from telegram_router.tools.replay.report import About, as_object, summary
from telegram_router.tools.replay.report_files import write_reports
from telegram_router.tools.replay.resuming import Progress, resumed
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.rules import Beside, Rule, masks_of, read_rules, rule_of
from telegram_router.tools.replay.running import Replay
from telegram_router.tools.replay.settings import ReplayError, duration, moment, numbers, text_of
from telegram_router.tools.replay.steps import Selection, Steps, referred_to
from telegram_router.tools.replay.survey import Survey, survey
from telegram_router.tools.replay.tally import Tally
from telegram_router.written import Address, Misread, target

PROGRESS: Final = 1.0  # seconds between two lines of progress


def replay_capture(file: Path, options: dict[str, Any]) -> int:
    """Returns the exit code."""
    try:
        return _run(file, options)
    except CaptureError as error:
        click.echo(error.text(), err=True)
        return of_capture(error.code)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem.text(), err=True)
        return EXIT_USAGE
    except RouterError as error:
        click.echo(error.text(), err=True)
        return EXIT_UNREACHABLE if error.code == "E-RPL-04" else EXIT_USAGE


def _run(file: Path, options: dict[str, Any]) -> int:
    """What one of our own errors ends comes out of every nursery as itself."""
    try:
        return _Session(file, options).run()
    except BaseExceptionGroup as group:
        own, others = group.split(RouterError)
        found: BaseException | None = own
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if others is None and found is not None:
            raise found from None
        raise


class _Session:
    """One call of the command."""

    def __init__(self, file: Path, options: dict[str, Any]) -> None:
        self.file = file
        self.options = options
        self.seed = options["seed"] if options["seed"] is not None else random.SystemRandom().randrange(1, 1_000_000)
        self.signal = 0
        self.folder: Path | None = options["report"] or options["resume"]

    def run(self) -> int:
        options = self.options
        self.tests = thresholds.thresholds(options["fail_on"])
        self.pace = pacing.pace_of(options["pace"], self.seed)
        self.selection = self._selection()
        self.conduct = self._conduct()
        self.addresses = self._addresses()
        if not self.addresses and not options["dry_run"]:
            raise click.UsageError("Missing option '--to': where to? (--dry-run shows what would be sent.)")
        self.seen = survey(self.file) if str(self.file) != "-" and self.file.is_file() else Survey()
        self._guard()
        with reading(self.file) as reader:
            spec = spec_for(reader, options["spec_name"], options["folders"])
            if spec is None:
                raise click.UsageError(
                    "Missing option '--spec': which telegrams are these? The capture does not say, or it cannot be found."
                )
            return self._replay(reader, spec)

    # --- what was asked for

    def _selection(self) -> Selection:
        options = self.options
        return Selection(
            filter=parse(options["wanted"]) if options["wanted"] else None,
            first=moment(options["first"], "--from") if options["first"] else None,
            last=moment(options["last"], "--until") if options["last"] else None,
            time_field=options["time_field"],
            sequence=numbers(options["seq"], "--seq") if options["seq"] else None,
            sequence_field=options["seq_field"],
            record=numbers(options["record"], "--record") if options["record"] else None,
            only=frozenset(options["only"]),
            connections=frozenset(options["connection"]),
            leg=options["leg"],
            skip=options["skip"],
            limit=options["limit"],
            related=options["with_related"],
        )

    def _conduct(self) -> Conduct:
        options = self.options
        how = options["connections"]
        if how != "recorded" and not how.startswith("per-key:") and not (how.isascii() and how.isdecimal() and 0 < int(how) <= 1_000):
            raise click.UsageError("--connections: `recorded`, a number up to 1000, or `per-key:FIELD`.")
        compare = options["compare"].partition(":")[0]
        if compare not in ("recorded", "baseline", "none") or (compare != "baseline" and options["compare"] != compare):
            raise click.UsageError("--compare: `recorded`, `baseline:HOST:PORT`, or `none`.")
        window = options["window"] or (1 if isinstance(self.pace, pacing.Closed) else None)
        return Conduct(how, window, duration(options["timeout"], "--timeout"), duration(options["grace"], "--grace"), compare)

    def _addresses(self) -> dict[str, Address]:
        """Where each side is."""
        found: dict[str, Address] = {}
        if self.options["target"]:
            found["target"] = self.options["target"]
        if self.conduct.compare == "baseline":
            found["baseline"] = _baseline(self.options["compare"])
        if self.options["noise"] and found:
            found["noise"] = found.get("baseline") or found["target"]
        return found

    def _guard(self) -> None:
        protected = [*names_of(self.options["protected"]), *self._protected_by_rules()]
        if self.options["dry_run"]:
            return
        for host, port in dict.fromkeys(self.addresses.values()):
            resolved = trio.run(addresses_of, host, port)
            check_target((host, port), resolved, self.seen.addresses, protected, self.options["known"])
            self._resolved = resolved

    def _protected_by_rules(self) -> list[str]:
        path: Path | None = self.options["rules"]
        if path is None:
            return []
        import tomllib

        try:
            told = tomllib.loads(text_of(path)).get("protected", [])
        except tomllib.TOMLDecodeError:
            return []  # told with its place when the rules are read
        if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
            raise ReplayError("E-RPL-03", "protected is a list of hosts", where=str(path))
        return told

    # --- the replay

    def _replay(self, reader: CaptureReader, spec: Spec) -> int:
        for name in (self.selection.time_field, self.selection.sequence_field, self.conduct.connections.partition(":")[2]):
            if name and not any(message.field(name) for message in spec.messages.values()):
                raise click.UsageError(f"{spec.name} has no field {name}.")
        rules = self._rules(spec)
        masks, pseudonyms = self._masks(spec, rules), self._pseudonyms(rules, reader.head)
        progress = resumed(self.options["resume"], reader.head) if self.options["resume"] else Progress()
        sequences = Sequences(progress.numbers)
        selection = replace(self.selection, behind=progress.sent_up_to, again=progress.again)
        related = self._related(reader.head, spec) if selection.related else frozenset()
        steps = Steps(self._watched(reader), reader.head, spec, selection, related)
        zone = zone_of(reader.head.get("tz") or "")
        rewriters = [
            self._rewriter(spec, rules, sequences, zone, pseudonyms, progress.mapped.get(side, ()))
            for side in self.addresses or ("target",)
        ]
        if self.options["dry_run"]:
            shown = dry_run(steps, rewriters[0], spec, time.time_ns, reader.head["t0"], values=self.options["show_values"], limit=self.options["limit"] or 10)  # fmt: skip
            return self._tell_dry_run(shown, steps, reader)
        sides = [
            Side(name, self._dial(address), rewriter) for (name, address), rewriter in zip(self.addresses.items(), rewriters, strict=True)
        ]
        if self.folder is not None:
            memories = {name: rewriter.memory for name, rewriter in zip(self.addresses, rewriters, strict=True)}
            progress.begin(self.folder, reader.head, sequences, memories)
        replay = Replay(
            spec, steps, self.pace, sides, Comparer(spec, masks), self.conduct, now=time.time_ns, t0=reader.head["t0"], mark=progress.mark
        )
        self._send(replay, progress)
        progress.finish(replay.unsent)
        return self._tell(replay, steps, reader, spec, sequences, rewriters[0])

    def _watched(self, reader: CaptureReader) -> Iterator[Record]:
        """The records; a target that shows up in a stream's own connections ends the run."""
        protected = names_of(self.options["protected"])
        for record in reader:
            if record["k"] == "open" and not self.seen.addresses and not self.options["dry_run"]:
                for address in self.addresses.values():
                    check_target(
                        address, self._resolved, [record.get("peer", ""), record.get("local", "")], protected, self.options["known"]
                    )
            yield record

    def _related(self, head: Record, spec: Spec) -> frozenset[Any]:
        if str(self.file) == "-":
            raise click.UsageError("--with-related reads the capture twice: give a file, not stdin.")
        with reading(self.file) as again:
            return referred_to(again, head, spec, self.selection)

    def _rules(self, spec: Spec) -> dict[str, dict[str, Rule]]:
        path: Path | None = self.options["rules"]
        beside = Beside(path.parent if path is not None else Path(), self.options["allow_code"])
        found = read_rules(text_of(path), str(path), spec, beside) if path is not None else {}
        for told in self.options["learn"]:
            name, sign, source = told.partition("=")
            if not sign or not source.startswith("reply.") or not any(message.field(name) for message in spec.messages.values()):
                raise click.UsageError(f"--learn {told}: FIELD=reply.FIELD, with fields of {spec.name}.")
            found.setdefault("*", {})[name] = rule_of(f"learn({source})", f"--learn {told}", beside)
        return found

    def _pseudonyms(self, rules: dict[str, dict[str, Rule]], head: Record) -> Pseudonyms | None:
        wanting = [rule for fields in rules.values() for rule in fields.values() if rule.kind == "pseudonym"]
        if not wanting:
            return None
        if head.get("mask"):
            do = "leave the rule out: what it would make are pseudonyms of pseudonyms"
            raise ReplayError("E-RPL-03", "the capture is masked already", where=wanting[0].where, do=do)
        if self.options["key_file"] is None:
            raise ReplayError("E-RPL-03", "pseudonym needs a key", where=wanting[0].where, do="give --key-file, as for `capture mask`")
        return Pseudonyms(key_of(self.options["key_file"]))

    def _masks(self, spec: Spec, rules: dict[str, dict[str, Rule]]) -> Masks:
        path: Path | None = self.options["masks"]
        return Masks(None if path is None else read_masks(text_of(path), str(path), spec), masks_of(rules))

    def _rewriter(
        self, spec: Spec, rules: dict[str, dict[str, Rule]], sequences: Sequences, zone: datetime.tzinfo, pseudonyms: Pseudonyms | None,
        resumed: Iterable[Entry],
    ) -> Rewriter:  # fmt: skip
        told = self.options["business_date"]
        try:
            day = datetime.datetime.strptime(told, "%Y%m%d").date() if told else None
        except ValueError:
            raise click.UsageError("--business-date: a day as 20261123.") from None
        return Rewriter(
            spec, rules, sequences, zone, volatile=not self.options["no_rewrite"], business_date=day, pseudonyms=pseudonyms, resumed=resumed
        )

    def _dial(self, address: tuple[str, int]) -> Dial:
        options, context = self.options, None
        if options["tls"] or options["tls_ca"] or options["tls_cert"]:
            context = client_tls(
                options["tls_ca"], options["tls_cert"], options["tls_key"], options=("--tls-ca", "--tls-cert", "--tls-key")
            )
        return dialler(*address, context, options["tls_name"])

    def _send(self, replay: Replay, progress: Progress) -> None:
        """Run it. The first SIGINT or SIGTERM ends it with what there is."""

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, replay)
                if self.folder is not None:
                    nursery.start_soon(progress.keep)
                if not self.options["quiet"]:
                    nursery.start_soon(self._progress, replay)
                await replay.run()
                nursery.cancel_scope.cancel()

        calm_the_collector()
        trio.run(main)

    async def _listen(self, replay: Replay) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                self.signal = number
                replay.stop()

    async def _progress(self, replay: Replay) -> None:
        tally = replay.tally
        live = sys.stderr.isatty()
        while True:
            await trio.sleep(PROGRESS if live else 10 * PROGRESS)
            whole = f" (the capture has {self.seen.telegrams:,} telegrams)" if self.seen.telegrams else ""
            bad = tally.buckets["different"] + tally.buckets["missing"] + tally.buckets["unparseable"]
            rate = f", {tally.achieved:,.0f}/s" if tally.achieved else ""
            line = f"{tally.sent:,} sent{rate}, {tally.latency.count:,} answered, {bad:,} not as expected{whole}"
            click.echo(f"\r{line}\x1b[K" if live else line, err=True, nl=not live)

    # --- what came of it

    def _tell(self, replay: Replay, steps: Steps, reader: CaptureReader, spec: Spec, sequences: Sequences, rewriter: Rewriter) -> int:
        tally, options = replay.tally, self.options
        if sys.stderr.isatty() and not options["quiet"]:
            click.echo("\r\x1b[K", err=True, nl=False)
        broken = [test for test in self.tests if test.broken(tally)]
        about = self._about(replay, steps, reader, spec, sequences, rewriter)
        damage = damage_code([reader.findings], strict=options["strict"] and steps.ended, gaps=steps.gaps)
        code = self._code(replay, broken, damage, nothing=not tally.planned and not about.interrupted and not about.incomplete)
        report = as_object(tally, about, broken, code, spec, values=options["show_values"])
        if self.folder is not None:
            write_reports(self.folder, report, tally, broken, spec, values=options["show_values"])
        if options["as_json"]:
            say_json(report)
        else:
            where = str(self.folder / "report.html") if self.folder else ""
            for line in summary(tally, about, broken, values=options["show_values"], report=where):
                say(line)
        if steps.ended:
            tell_findings(reader.findings)
        if not tally.planned and not about.interrupted and not about.incomplete:
            why = "; ".join(f"{count:,} {reason}" for reason, count in about.left_out.items())
            click.echo(ReplayError("E-RPL-01", f"nothing was sent{': ' + why if why else ''}", do="see what `telegram-router capture stat` says").text(), err=True)  # fmt: skip
        if replay.unreachable is not None:
            click.echo(replay.unreachable.text(), err=True)
        return code

    def _code(self, replay: Replay, broken: Sequence[thresholds.Threshold], damage: int, *, nothing: bool) -> int:
        if self.signal:
            return 128 + self.signal
        tally = replay.tally
        found = {damage} if damage else set[int]()
        if not tally.sums_up:
            found.add(EXIT_BUG)
        if nothing:
            found.add(EXIT_USAGE)
        if replay.unreachable is not None or _lost(tally):
            found.add(EXIT_UNREACHABLE)
        if tally.reasons and any("E-RPL-06" in reason for reason in tally.reasons):
            found.add(EXIT_DIFFERS)
        found |= {EXIT_DIFFERS if each.behaviour else EXIT_THRESHOLD for each in broken}
        return first_of(found)

    def _about(self, replay: Replay, steps: Steps, reader: CaptureReader, spec: Spec, sequences: Sequences, rewriter: Rewriter) -> About:
        incomplete = ""
        if replay.unreachable is not None:
            incomplete = replay.unreachable.what
        elif _lost(replay.tally):
            incomplete = "connections were lost"
        return About(
            capture=str(self.file),
            target=str(self.options["target"]),
            spec=spec.name,
            pace=self.pace.text,
            asked=getattr(self.pace, "rate", None),
            seed=self.seed,
            compare=self.options["compare"],
            repeat=_command(self.seed),
            sequences={name: (first, sequences.next[name]) for name, first in sequences.first.items()},
            left_out=dict(steps.left_out),
            unknown=dict(rewriter.unknown),
            problems=tuple(reader.findings.problems),
            gaps=steps.gaps,
            shortened=getattr(self.pace, "shortened", 0),
            interrupted=bool(self.signal),
            incomplete=incomplete,
        )

    def _tell_dry_run(self, shown: dict[str, Any], steps: Steps, reader: CaptureReader) -> int:
        shown["left_out"] = dict(steps.left_out)
        if self.options["as_json"]:
            say_json(shown)
        else:
            for line in dry_run_lines(shown, self.pace.text):
                say(line)
        if steps.ended:
            tell_findings(reader.findings)
        return damage_code([reader.findings], strict=self.options["strict"] and steps.ended, gaps=steps.gaps) or (
            0 if shown["planned"] else EXIT_USAGE
        )


def dry_run_lines(shown: dict[str, Any], pace: str) -> Iterator[str]:
    """What would be sent, for people."""
    lasting = f", {shown['seconds']:,.1f} s as recorded" if pace.startswith("recorded") else ""
    yield f"{shown['planned']:,} would be sent{lasting}; {shown['answered']:,} of them were answered in the recording"
    for name, count in shown["messages"].items():
        yield f"  {count:>9,}  {name}"
    for reason, count in shown["left_out"].items():
        yield f"  {count:>9,}  left out: {reason}"
    for each in shown["samples"]:
        yield f"{each['exchange']} (record {each['n']}) {each['message']}" + (f": {each['error']}" if each.get("error") else "")
        for field in each["fields"]:
            yield f"    {field['field']} [{field['offset']}..{field['offset'] + max(field['length'], 1) - 1}]  {field['recorded']} -> {field['sent']}"


def calm_the_collector() -> None:
    """A full collection in the middle would be a lag of our own. What is there by now is looked at never again, what comes once, a
    little at a time: a replay leaves no cycles behind that live longer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 1_000_000, 1_000_000)


def _lost(tally: Tally) -> bool:
    """Whether connections kept exchanges from ending."""
    return bool(tally.buckets["closed"]) or any(reason.startswith("not_sent") and "E-RPL-06" not in reason for reason in tally.reasons)


def _baseline(compare: str) -> Address:
    try:
        return target(compare.removeprefix("baseline:"))
    except Misread as error:
        raise click.UsageError(f"--compare: {compare[:100]!r} {error}.") from None


def _command(seed: int) -> str:
    """This command again, with the same chance, so that an exchange can be added."""
    words, skip = [], False
    for word in sys.argv[1:]:
        if skip or word in ("--seed", "--only", "--resume"):
            skip = not skip
            continue
        if not word.startswith(("--seed=", "--only=", "--resume=")):
            words.append(word)
    return shlex.join(["telegram-router", *words, "--seed", str(seed)])
