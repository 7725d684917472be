"""What the commands share: examples in their help, options, and the specs that are asked for by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from telegram_router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from telegram_router.telegrams import Spec

    Command = TypeVar("Command", bound=Callable[..., Any])

CONFIG = click.Path(dir_okay=False, readable=False, path_type=Path)  # that it cannot be read is E-CFG-01, told where it is opened


class RunUnlessNamed(click.Group):
    """Where no command of the group is named, `run` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args.insert(0, "run")
        return super().parse_args(ctx, args)


def example(*lines: str) -> str:
    """A help text's last lines, as they would be typed."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


SPEC = click.option("--spec", "spec_name", metavar="SPEC", help="Name of a spec, or path of a spec file (.py).")
SPEC_FOLDER = click.option(
    "--spec-folder",
    "folders",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder to look for the spec in, before those that ship with the router. May be given several times.",
)
UNFRAMED = click.option("--unframed", is_flag=True, help="The input is one telegram without its framing, as logs often show it.")
HEX_IN = click.option(
    "--hex",
    "as_hex",
    is_flag=True,
    help="The input is hex: INPUT is the hex digits themselves, or a file of them. Blanks and colons may be between.",
)
INPUT = click.argument("source", metavar="[INPUT]", default="-")


def spec_named(name: str | None, folders: Iterable[Path]) -> Spec:
    if name is None:
        raise click.UsageError("Missing option '--spec': which telegrams are these? See `telegram-router spec list`.")
    from telegram_router.plan import read_spec

    return read_spec(spec_file(name, folders))


def spec_file(name: str, folders: Iterable[Path]) -> Path:
    from telegram_router import plan

    places = [*folders, *plan.spec_folders(None, Path())]
    path = plan.find_spec(name, places)
    if path is None:
        raise click.UsageError(f"No such spec. There are: {', '.join(sorted(plan.known_specs(places)))}.")
    return path


def every_spec(folders: Iterable[Path]) -> list[Spec]:
    """All that can be found by name; what does not load is told and left out."""
    from telegram_router import plan
    from telegram_router.cli import tell

    found = []
    for name, path in sorted(plan.known_specs([*folders, *plan.spec_folders(None, Path())]).items()):
        try:
            found.append(plan.read_spec(path))
        except ConfigError as error:
            tell([f"{name} does not load and is left out: {error.problems[0].text()}"])
    return found
