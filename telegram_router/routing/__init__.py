"""What to do with telegrams: switch, exchanges, routes. Pure: no socket, clock or file."""

from telegram_router.routing.ended import Ended
from telegram_router.routing.exchange import Exchange
from telegram_router.routing.orders import Call, Close, Event, Grow, Journal, Ready
from telegram_router.routing.pairs import Pair
from telegram_router.routing.peers import Audience, Kind, Listener, ListenerPolicy, Mode, Peer, Service, ServicePolicy, Target
from telegram_router.routing.routes import Among, Between, Prefix, Route, RouteTable
from telegram_router.routing.switch import Switch

__all__ = [
    "Among",
    "Audience",
    "Between",
    "Call",
    "Close",
    "Ended",
    "Event",
    "Exchange",
    "Grow",
    "Journal",
    "Kind",
    "Listener",
    "ListenerPolicy",
    "Mode",
    "Pair",
    "Peer",
    "Prefix",
    "Ready",
    "Route",
    "RouteTable",
    "Service",
    "ServicePolicy",
    "Switch",
    "Target",
]
