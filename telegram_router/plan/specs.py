"""The specs that a configuration names: found, compiled, and handed over where a text is another one."""

from __future__ import annotations

from pathlib import Path

from telegram_router.errors import ConfigWarning
from telegram_router.plan.check import Check, did_you_mean
from telegram_router.plan.files import candidates, digest_of, find_spec, known_specs, read_spec, spec_folders
from telegram_router.plan.plan import Plan
from telegram_router.telegrams import Spec
from telegram_router.telegrams.succession import obstacle


def load_specs(check: Check) -> bool:
    """Read every spec. False when one does not exist."""
    config = check.plan.config
    wanted: dict[str, tuple[str | int, ...]] = {listener.spec: ("listeners", name, "spec") for name, listener in config.listeners.items()}
    for name, service in config.services.items():
        if service.spec is not None:
            wanted.setdefault(service.spec, ("services", name, "spec"))
    folders = spec_folders(config, check.plan.folder)
    for each in config.specs:
        if not (check.plan.folder / each).is_dir():  # else a spec that ships with the router would silently take its place
            check.report("E-CFG-01", ("specs",), f"there is no folder {each}", do="make it, or leave it out")
    for name in wanted:  # a file that comes into being in a folder before the others is the spec from then on
        check.plan.files |= {path: digest_of(path) for path in candidates(name, folders)}
    found = {spec: path if (path := find_spec(spec, folders)) and path.is_file() else None for spec in wanted}
    for spec, place in wanted.items():
        path = found[spec]
        if path is None:
            known = sorted(known_specs(folders))
            check.report("E-CFG-06", place, "no such spec", f"one of {', '.join(known)}" + did_you_mean(spec, known))
        else:
            check.gather(lambda name=spec, where=place, file=path: _spec(check, name, where, file))  # type: ignore[misc]
    return None not in found.values()


def _spec(check: Check, name: str, place: tuple[str | int, ...], file: Path) -> None:
    text = check.digest([file])
    before = check.before
    former = before.specs.get(name) if before is not None else None
    check.plan.texts[f"specs.{name}"] = text
    if before is None or former is None:
        _routable(check, name, place, read_spec(file))
    elif text == before.texts[f"specs.{name}"]:
        check.plan.specs[name] = former
    else:
        _succeed(check, name, place, file, former, before)


def _succeed(check: Check, name: str, place: tuple[str | int, ...], file: Path, former: Spec, before: Plan) -> None:
    """The text of a spec is another one. Telegrams that are on their way were cut and paired by the former."""
    _routable(check, name, place, read_spec(file))
    why = obstacle(former, check.plan.specs.get(name, former))
    if not why:
        check.plan.renewed.append(name)
        return
    check.plan.specs[name], check.plan.texts[f"specs.{name}"] = former, before.texts[f"specs.{name}"]
    check.plan.outdated.append(name)
    what = f"{why}: telegrams on their way could not be told apart, so the former text stays until the router is started anew"
    check.plan.warnings.append(ConfigWarning(str(file), 0, f"specs.{name}", what, "restart the router, or give the new text another name"))


def _routable(check: Check, name: str, place: tuple[str | int, ...], spec: Spec) -> None:
    """Records of a file have a layout like any telegram, but nothing that says where they go."""
    if spec.family.key:
        check.plan.specs[name] = spec
        return
    lacking = [role for role in ("key", "correlation") if not getattr(spec.family, role)]
    what = f"the spec has no {' and no '.join(lacking)}: its telegrams can be read and written, not routed"
    check.report("E-CFG-07", place, what, do=f"name the header fields in the spec's {' and '.join(lacking)}, or use another spec")
