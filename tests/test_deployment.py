"""The files of deploy/ parse, keep the house's rules for them, and say of ports, paths, times and exit codes what the product says."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from telegram_router.app import EXIT_BUG, EXIT_CANNOT_BIND, EXIT_CONFIG, LAST
from telegram_router.cli import main
from telegram_router.config import Config
from telegram_router.ops.operations import OPERATIONS
from telegram_router.plan import read_plan
from telegram_router.wire.private_files import exposed

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
CLICK_USAGE = 2


def command(*arguments: str) -> Any:
    """The command of the command line that these arguments call, once they have been understood."""
    name, *rest = arguments
    found = main.commands[name]
    found.make_context(name, rest)
    return found


# --- Dockerfile

Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, continued lines joined, comments left out."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines() if line and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    found: list[list[Instruction]] = []
    for line in joined:
        word, _, rest = line.partition(" ")
        assert word in ("FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"), word
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


def values(stage: list[Instruction], word: str) -> list[str]:
    return [rest for each, rest in stage if each == word]


def test_the_image_is_built_in_two_stages_of_one_base_with_a_fixed_version():
    first, last = stages()
    assert first[0][1].endswith(" AS build")
    base = last[0][1]
    assert first[0][1].split()[0] == base
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    minor = int(base.split(".")[1].partition("-")[0])
    assert minor >= 11


def test_what_is_copied_exists_and_is_let_through_by_the_dockerignore():
    first, last = stages()
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    sources = [source for each in values(first, "COPY") for source in each.split()[:-1]]
    assert set(sources) == allowed
    assert all((ROOT / each).exists() for each in sources)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {project["project"]["readme"], *wheel["packages"], *wheel["force-include"]} <= allowed
    assert values(last, "COPY") == ["--from=build /opt/telegram-router /opt/telegram-router"]


def test_the_last_stage_has_no_build_tools_and_runs_as_a_user_of_its_own():
    first, last = stages()
    runs = " ".join(values(last, "RUN"))
    assert "pip uninstall --yes pip" in runs and "pip uninstall --yes pip" in " ".join(values(first, "RUN"))
    assert not re.search(r"apt-get|apk |gcc|curl|wget|pip install", runs)
    [user] = values(last, "USER")
    uid, gid = user.split(":")
    assert f"--uid {uid} --gid {gid}" in runs and int(uid) >= 10_000
    words = [word for word, _ in last]
    assert words.index("USER") > words.index("RUN") and "USER" in words
    assert not re.search(r"\bADD\b|sudo|chmod 777|:latest", (DEPLOY / "Dockerfile").read_text("utf-8"))


def test_what_the_image_runs_is_understood_by_the_command_line():
    last = stages()[-1]
    [entry], [started], [health] = values(last, "ENTRYPOINT"), values(last, "CMD"), values(last, "HEALTHCHECK")
    assert yaml.safe_load(entry) == ["telegram-router"]
    run = yaml.safe_load(started)
    assert command(*run).name == "run"
    name, *asked = yaml.safe_load(health.partition("CMD ")[2])
    assert name == "telegram-router" and command(*asked).name == "probe"
    assert run[-1] == asked[-1]
    assert values(last, "WORKDIR") == [str(Path(run[-1]).parent)]
    assert values(last, "STOPSIGNAL") == ["SIGTERM"]


def test_the_image_exposes_the_ports_of_the_base_that_runs_it(base_config: Config):
    [ports] = values(stages()[-1], "EXPOSE")
    assert [int(each) for each in ports.split()] == list(ports_of(base_config).values())


# --- systemd


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "systemd" / name, "utf-8")
    return parser


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)(s|min)", text)
    assert found, text
    return int(found[1]) * (60 if found[2] == "min" else 1)


def test_the_unit_is_told_of_everything_and_starts_again_only_where_that_can_help():
    service = unit("telegram-router.service")["Service"]
    assert service["Type"] == "notify-reload"
    path, *arguments = shlex.split(service["ExecStart"])
    assert Path(path).name == "telegram-router" and command(*arguments).name == "run"
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == {CLICK_USAGE, EXIT_CONFIG}
    assert not {EXIT_BUG, EXIT_CANNOT_BIND} & {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert service["Restart"] == "on-failure"
    assert seconds(service["WatchdogSec"]) >= 5


def test_the_unit_gives_the_router_as_much_time_to_stop_as_its_defaults_take():
    defaults = Config()
    takes = defaults.drain_delay + defaults.spread + defaults.drain + LAST
    assert seconds(unit("telegram-router.service")["Service"]["TimeoutStopSec"]) >= takes


def test_the_unit_names_the_folders_that_its_paths_are_in():
    service = unit("telegram-router.service")["Service"]
    config = shlex.split(service["ExecStart"])[-1]
    assert Path(config).parent == Path("/etc") / service["ConfigurationDirectory"]
    assert service["RuntimeDirectory"] == service["StateDirectory"] == service["User"] == "telegram-router"
    assert (DEPLOY / "systemd" / "telegram-router.conf").read_text("utf-8").splitlines()[-1].startswith(f"u {service['User']} ")
    assert int(service["LimitNOFILE"]) >= 8 * 1024


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("UMask", "0077"),
    ],
)
def test_the_unit_is_hardened(key: str, value: str):
    assert unit("telegram-router.service")["Service"][key] == value


def test_the_socket_unit_opens_the_port_of_the_listener_that_it_names(base_config: Config):
    opened = unit("telegram-router.socket")["Socket"]
    listener = base_config.listeners[opened["FileDescriptorName"]]
    assert listener.address.port == int(opened["ListenStream"])
    assert opened["Service"] == "telegram-router.service"
    assert "Accept" not in opened


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as this machine's systemd may look at them: it need not have the router, nor be new enough for notify-reload."""
    for path in (DEPLOY / "systemd").glob("telegram-router.s*"):
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text("utf-8"), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(re.sub(r"^Type=notify-reload$", "Type=notify", text, flags=re.MULTILINE), "utf-8")
    return tmp_path


def analyzed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze", path="/usr/bin:/bin")
    assert program, "systemd-analyze is not installed; .ci/run installs it"
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_has_nothing_to_say_about_the_units(units: Path):
    done = analyzed(units, "verify", "--man=no", "./telegram-router.service", "./telegram-router.socket")
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_the_service_well_confined(units: Path):
    done = analyzed(units, "security", "--offline=true", "--threshold=20", "--no-pager", "./telegram-router.service")
    assert done.returncode == 0, done.stdout


# --- Kubernetes


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted(BASE.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text("utf-8"))


def of_kind(kind: str) -> Any:
    [found] = [each for each in documents() if each["kind"] == kind]
    return found


@pytest.fixture(scope="module")
def base_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The base's configuration, checked whole. The token lies where a test may put it."""
    folder = tmp_path_factory.mktemp("base")
    token = folder / "admin-token"
    token.write_text("0123456789abcdef0123456789abcdef", "ascii")
    token.chmod(0o600)
    text = (BASE / "router.toml").read_text("utf-8")
    [place] = re.findall(r'token_file = "([^"]+)"', text)
    (folder / "router.toml").write_text(text.replace(place, str(token)), "utf-8")
    plan = read_plan(folder / "router.toml")
    assert not plan.warnings
    return plan.config


def ports_of(config: Config) -> dict[str, int]:
    assert config.metrics is not None and config.admin is not None and config.admin.address is not None
    [listener] = config.listeners.values()
    return {"telegrams": listener.address.port, "metrics": config.metrics.address.port, "admin": config.admin.address.port}


def pod() -> Any:
    return of_kind("Deployment")["spec"]["template"]["spec"]


def container() -> Any:
    [found] = pod()["containers"]
    return found


def test_the_kustomization_names_every_file_of_the_base_and_no_other():
    made = of_kind("Kustomization")
    generated = [name for each in made["configMapGenerator"] for name in each["files"]]
    assert sorted([*made["resources"], *generated, "kustomization.yaml"]) == sorted(path.name for path in BASE.iterdir())
    assert made["configMapGenerator"][0]["name"] == pod()["volumes"][0]["configMap"]["name"]
    assert [each["name"] for each in made["images"]] == [container()["image"]]


def test_the_pod_has_the_ports_of_its_configuration(base_config: Config):
    assert {each["name"]: each["containerPort"] for each in container()["ports"]} == ports_of(base_config)
    [served] = of_kind("Service")["spec"]["ports"]
    assert (served["targetPort"], served["port"]) == ("telegrams", ports_of(base_config)["telegrams"])


@pytest.mark.parametrize(("probe", "path"), [("startupProbe", "/startupz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")])
def test_the_probes_ask_what_the_admin_api_answers_without_a_token(probe: str, path: str):
    asked = container()[probe]["httpGet"]
    assert asked == {"path": path, "port": "admin"}
    assert [row.public for row in OPERATIONS if row.path == path] == [True]


def test_the_pod_is_given_more_time_than_its_stop_takes(base_config: Config):
    [program, slept] = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    takes = int(slept) + base_config.drain_delay + base_config.spread + base_config.drain + LAST
    assert pod()["terminationGracePeriodSeconds"] >= takes
    ready = container()["readinessProbe"]
    assert base_config.drain_delay >= ready["periodSeconds"] * ready["failureThreshold"]


def test_the_pod_runs_with_no_rights_and_a_file_system_that_it_cannot_write_to():
    allowed, everybody = container()["securityContext"], pod()["securityContext"]
    assert (allowed["allowPrivilegeEscalation"], allowed["readOnlyRootFilesystem"], allowed["capabilities"]) == (
        False,
        True,
        {"drop": ["ALL"]},
    )
    assert everybody["runAsNonRoot"] is True
    [user] = values(stages()[-1], "USER")
    assert f"{everybody['runAsUser']}:{everybody['runAsGroup']}" == user
    assert everybody["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False


def test_the_pod_mounts_what_its_command_and_its_configuration_name():
    mounted = {each["mountPath"]: each["name"] for each in container()["volumeMounts"]}
    assert set(mounted.values()) == {each["name"] for each in pod()["volumes"]}
    assert command(*container()["args"]).name == "run"
    assert str(Path(container()["args"][-1]).parent) in mounted
    [place] = re.findall(r'token_file = "([^"]+)"', (BASE / "router.toml").read_text("utf-8"))
    assert str(Path(place).parent) in mounted
    assert not any("subPath" in each for each in container()["volumeMounts"])  # such a file would never change


def test_a_secret_with_the_mode_that_the_pod_gives_it_is_accepted():
    """The kubelet makes it root's, and by fsGroup the pod's group may read it."""
    [mode] = [each["secret"]["defaultMode"] for each in pod()["volumes"] if "secret" in each]
    assert "fsGroup" in pod()["securityContext"]

    class Handed:
        st_mode, st_uid = 0o100000 | mode, 0

    assert exposed(Handed(), user=pod()["securityContext"]["runAsUser"]) == ""  # type: ignore[arg-type]
    assert exposed(Handed(), user=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "owner", "fine"),
    [(0o640, 0, True), (0o440, 0, True), (0o660, 0, False), (0o644, 0, False), (0o640, 7, False), (0o600, 7, True)],
)
def test_a_groups_right_to_read_is_for_files_that_root_hands_to_another_user(mode: int, owner: int, fine: bool):
    class File:
        st_mode, st_uid = 0o100000 | mode, owner

    assert (exposed(File(), user=7) == "") is fine  # type: ignore[arg-type]


def test_a_probe_of_nobody_is_no(tmp_path: Path):
    said = CliRunner().invoke(main, ["probe", "readyz", "--socket", str(tmp_path / "none")])
    assert said.exit_code == 1
    assert said.stderr.startswith("E-ADM-06")
