"""Routes that could take the same telegram, where nothing decides between them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement, product

from telegram_router.config.lines import Path, dotted
from telegram_router.config.problems import Problems
from telegram_router.config.routes import Route
from telegram_router.config.values import Exact


def check_overlaps(problems: Problems, routes: Sequence[tuple[Path, Route]]) -> None:
    for first_place, second_place in _meeting([route for _, route in routes]):
        (earlier, one), (later, other) = routes[first_place], routes[second_place]
        shared = [name for kind, name in one.sources if (kind, name) in other.sources]
        if shared and _ambiguous(one, other):
            first = f"{dotted(earlier)} (line {problems.line(earlier)})"
            what = f"takes telegrams that {first} takes as well, from {', '.join(shared)}"
            do = "make them differ; where one is the exception of the other, write the wider one with a prefix or a range: exact ones go first"
            problems.report("E-CFG-05", later, what, do=do)


def _meeting(routes: Sequence[Route]) -> list[tuple[int, int]]:
    """The pairs of places whose routes may take the same telegrams: to look at every pair of hundreds would take a second."""
    alike: dict[Hashable, list[int]] = {}
    shapes: dict[tuple[str, ...], list[int]] = {}
    for place, route in enumerate(routes):
        if route.exact:
            shapes.setdefault(tuple(sorted(route.match)), []).append(place)
        for source in () if route.exact else route.sources:
            alike.setdefault((source, route.default, str(sorted(route.match.items()))), []).append(place)
    found = {pair for places in alike.values() for pair in combinations(places, 2)}
    for one, other in combinations_with_replacement(shapes, 2):
        common = [field for field in one if field in other]
        known: dict[Hashable, list[int]] = {}
        for place in shapes[one]:
            for key in _keys(routes[place], common):
                known.setdefault(key, []).append(place)
        for place in shapes[other]:
            found |= {
                (min(place, met), max(place, met)) for key in _keys(routes[place], common) for met in known.get(key, ()) if met != place
            }
    return sorted(found)


def _keys(route: Route, fields: Sequence[str]) -> Iterator[Hashable]:
    """Every combination of source and values of these fields that an exact route takes."""
    return product(route.sources, *(_values(route, field) for field in fields))


def _ambiguous(one: Route, other: Route) -> bool:
    """True when both take the same telegrams and no order between them is written anywhere."""
    if one.default or other.default:
        return one.default and other.default
    if not (one.exact and other.exact):
        return one.match == other.match  # ordered rules may overlap; the first wins
    return all(_values(one, field) & _values(other, field) for field in one.match.keys() & other.match.keys())


def _values(route: Route, field: str) -> set[str]:
    rule = route.match[field]
    return set(rule.values) if isinstance(rule, Exact) else set()
