"""Routes held against the specs of those that they join."""

from __future__ import annotations

from collections.abc import Mapping

from telegram_router.config import Exact, Prefix, Route, Rule
from telegram_router.plan.check import Check, did_you_mean
from telegram_router.plan.rules import body_test, header_test, taken
from telegram_router.telegrams import Spec


def check_route(check: Check, place: int, route: Route) -> bool:
    """False when its match is not one that could be held against another's."""
    path = ("routes", check.draft.places[place])
    sound = True
    for source in route.sources:
        spec = check.spec_of(source)
        if spec is None:
            continue
        if route.to_listener is not None and spec.owner is None:
            check.report("E-CFG-07", (*path, "to_listener"), "the spec names no owner field, so no session can be chosen")
        asks = any(spec.messages[each].reply.kind != "none" for each in taken(route.match, spec))
        if route.to_listener is not None and not spec.family.correlation and asks:
            what = "the spec has no correlation: nothing pairs a session's answer with what the host asked"
            check.report("E-CFG-07", (*path, "to_listener"), what, do="route one-way messages only, or name header fields in correlation")
        tests = {key: header_test(check, (*path, "match", key), key, rule, spec) for key, rule in route.header_match.items()}
        check.plan.tests[place] = {key: test for key, test in tests.items() if test is not None}
        sound = sound and None not in tests.values() and _reaches(check, (*path, "match"), route.match, spec)
        _split(check, path, route, spec)
        if sound and route.deep:
            _deep_rules(check, path, place, route, spec)
    return sound


def _split(check: Check, path: tuple[str | int, ...], route: Route, spec: Spec) -> None:
    known = list(spec.header_fields)
    if route.split_by is not None and route.split_by not in known:
        check.report(
            "E-CFG-06", (*path, "split_by"), "no such header field", f"one of {', '.join(known)}" + did_you_mean(route.split_by, known)
        )
    if route.split and route.split_by is None and not spec.family.correlation:
        check.report("E-CFG-07", (*path, "split"), "needs split_by: the spec has no correlation key", f"one of {', '.join(known)}")


def _deep_rules(check: Check, path: tuple[str | int, ...], place: int, route: Route, spec: Spec) -> None:
    """What a route asks of more than the header, as tests of values."""
    messages = [spec.messages[name] for name in taken(route.match, spec)]
    rules = [body_test(check, (*path, "match", key), key, rule, messages) for key, rule in route.body_match.items()]
    check.plan.body_tests[place] = tuple(test for test in rules if test is not None)
    if route.service_by is not None:
        below = (*path, "service_by")
        chosen = route.service_by.field
        tests = {
            value: body_test(check, (*below, "services", value), chosen, Exact((value,)), messages, (*below, "field"))
            for value in route.service_by.services
        }
        check.plan.choices[place] = {value: test for value, test in tests.items() if test is not None}


def _reaches(check: Check, path: tuple[str | int, ...], match: Mapping[str, Rule], spec: Spec) -> bool:
    """False for what no message of the spec can have, which is a slip of the pen: the route would never take a telegram."""
    if match.keys().isdisjoint(spec.family.key):  # then it can be any message
        return True
    do = f"compare with `telegram-router spec show {spec.name}`"
    for key, rule in match.items():
        for one in _parts(rule) if key in spec.family.key else ():
            if not taken({key: one}, spec):
                check.report("E-CFG-06", (*path, key), f"no request of {spec.name} has {_named(one)} there", do=do)
                return False
    if not taken(match, spec):
        check.report("E-CFG-06", path, f"no request of {spec.name} has these values together", do=do)
        return False
    return True


def _parts(rule: Rule) -> list[Rule]:
    """A rule for each value, so that one that is wrong is found among others that are right."""
    return [Exact((value,)) for value in sorted(rule.values)] if isinstance(rule, Exact) else [rule]


def _named(rule: Rule) -> str:
    """A rule in words. A value of a key field is a code of the spec, nobody's secret."""
    if isinstance(rule, Exact):
        return f'"{next(iter(rule.values))}"'
    return f'anything with the prefix "{rule.prefix}"' if isinstance(rule, Prefix) else f'anything from "{rule.min}" to "{rule.max}"'
