"""The images: their files are in order, and their steps do in a clean place what they shall."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.utils import canonicalize_name

from tests.deploy import derived, dockerfile
from tests.deploy.chart import ROOT, SETS, objects
from tests.deploy.derived import IMAGES

PARTS: Final = ("gateway", "agent")
#: What is needed to develop and to try out, and to build; none of it may be in an image.
_NEVER: Final = {"pip", "setuptools", "hatchling", "pytest", "sse-starlette", "python-multipart"}

every_part = pytest.mark.parametrize("part", PARTS)


def file_of(part: str) -> Path:
    return IMAGES / f"{part}.Dockerfile"


@every_part
def test_the_linter_finds_nothing_to_complain_of(part: str) -> None:
    linter = Path(sys.executable).parent / "hadolint"
    told = subprocess.run(
        [linter, "--no-color", file_of(part)], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_the_linter_would_find_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python:latest\nRUN cd /tmp && pip install tidegate\n")
    linter = Path(sys.executable).parent / "hadolint"
    told = subprocess.run([linter, bad], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "DL3007" in told.stdout


@every_part
def test_it_is_built_in_two_stages_from_one_base_that_is_pinned_by_digest(part: str) -> None:
    before, build, final = dockerfile.stages(file_of(part))
    base = dockerfile.variables(before)["PYTHON"]
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    assert len(set(base[-64:])) > 8, "a placeholder is no digest"
    assert [stage[0].text for stage in (build, final)] == ["${PYTHON} AS build", "${PYTHON}"]
    assert not any("pip" in step.text for step in final if step.instruction == "RUN")
    assert list(dockerfile.copies(final)) == [], "what runs comes from the first stage alone"
    assert dockerfile.stages(file_of("agent"))[0] == before, "both have the same base"


@every_part
def test_it_runs_as_nobody_and_says_so_by_number(part: str) -> None:
    final = dockerfile.stages(file_of(part))[-1]
    (user,) = [step.text for step in final if step.instruction == "USER"]
    pod = next(
        obj["spec"]["template"]["spec"]
        for obj in objects({})
        if obj["kind"] in ("Deployment", "StatefulSet")
        and obj["metadata"]["name"] == f"tidegate-{part}"
    )
    security = pod["securityContext"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}"
    last = [step.instruction for step in final].index("USER")
    assert all(step.instruction not in ("RUN", "COPY") for step in final[last:])


@every_part
def test_the_chart_hands_it_arguments_that_it_takes(part: str) -> None:
    final = dockerfile.stages(file_of(part))[-1]
    (command,) = [step.text for step in final if step.instruction == "CMD"]
    (container,) = next(
        obj["spec"]["template"]["spec"]["containers"]
        for obj in objects(SETS["several namespaces"])
        if obj["kind"] in ("Deployment", "StatefulSet")
        and obj["metadata"]["name"] == f"tidegate-{part}"
    )
    assert re.findall(r'"([^"]*)"', command) == container["args"]
    (exposed,) = [step.text for step in final if step.instruction == "EXPOSE"]
    ports = {str(each["containerPort"]) for each in container["ports"]}
    assert ports == set(exposed.split())


@every_part
def test_the_build_sees_what_it_copies_and_nothing_else(part: str) -> None:
    build = dockerfile.stages(file_of(part))[1]
    copied = {each for sources, _ in dockerfile.copies(build) for each in sources}
    ignored = Path(f"{file_of(part)}.dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / each).exists() for each in copied)


@every_part
def test_no_package_of_development_is_in_it(part: str) -> None:
    names = set(re.findall(r"^([a-z0-9-]+)==", (IMAGES / f"{part}.txt").read_text(), re.MULTILINE))
    assert not names & _NEVER
    assert {"aiohttp", "starlette", "cryptography"} <= names
    assert ("slack-sdk" in names) is (part == "gateway")


@every_part
def test_everything_that_it_needs_is_in_the_lock(part: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {"gateway": project["dependencies"] + extras["postgres"], "agent": extras["agent"]}
    names = set(re.findall(r"^([a-z0-9-]+)==", (IMAGES / f"{part}.txt").read_text(), re.MULTILINE))
    assert derived.closure(needed[part]) <= names, "make lock, then scripts/manifests"


@every_part
def test_every_package_has_its_hashes(part: str) -> None:
    text = (IMAGES / f"{part}.txt").read_text()
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert len(blocks) == text.count("==") - text.count(' == "')


@pytest.mark.long
@pytest.mark.timeout(600)
@every_part
def test_its_steps_do_in_a_clean_place_what_they_shall(part: str, tmp_path: Path) -> None:
    """The build stage's own commands, run one after the other as a builder does."""
    build = dockerfile.stages(file_of(part))[1]
    folder, target = tmp_path / "build", tmp_path / "opt/tidegate"
    folder.mkdir()
    target.parent.mkdir()
    environ = {
        **{name: os.environ[name] for name in os.environ if name.startswith("PIP_")},
        **dockerfile.variables(build),
        "TARGET": str(target),
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for step in build[1:]:
        if step.instruction == "COPY":
            for sources, to in dockerfile.copies([step]):
                _copy(sources, folder / to)
        elif step.instruction == "RUN":
            subprocess.run(
                ["sh", "-ec", step.text], cwd=folder, env=environ, check=True, timeout=500
            )
    _runs(part, target, tmp_path)


def _copy(sources: list[str], to: Path) -> None:
    for each in sources:
        path = ROOT / each
        if path.is_dir():
            shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, to / path.name if to.is_dir() else to)


def _runs(part: str, target: Path, tmp_path: Path) -> None:
    """What was installed runs, on a file system that cannot be written."""
    packages = {each.name for each in target.glob("lib/python3.*/site-packages/tidegate*")}
    assert "tidegate_dev" not in packages
    assert ("tidegate_agent" in packages) is (part == "agent")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", target, "list", "--format", "freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = {
        canonicalize_name(line.partition("==")[0]) for line in listed.splitlines() if "==" in line
    }
    wanted = set(re.findall(r"^([a-z0-9-]+)==", (IMAGES / f"{part}.txt").read_text(), re.MULTILINE))
    assert installed == wanted | {"tidegate"}
    subprocess.run(["chmod", "-R", "a-w", target], check=True)
    name = {"gateway": "tidegate.yaml", "agent": "agent.yaml"}[part]
    text = next(
        obj["data"][name]
        for obj in objects(SETS["several namespaces"])
        if obj["kind"] == "ConfigMap" and name in obj["data"]
    )
    config = tmp_path / name
    config.write_text(text)
    entry = {"gateway": ["check"], "agent": ["agent", "--check"]}[part]
    told = subprocess.run(
        [target / "bin/tidegate", *entry, "--config", config],
        env={
            "PYTHONDONTWRITEBYTECODE": "1",
            "SLACK_BOT_TOKEN": "made-up",
            "SLACK_SIGNING_SECRET": "made-up",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    subprocess.run(["chmod", "-R", "u+w", target], check=True)
    assert told.returncode == 0, told.stderr + told.stdout
    words = {
        "gateway": "cluster: direct to https://tidegate-agent.tidegate.svc:8443",
        "agent": "deployer: SDEV in staging, production",
    }[part]
    assert words in told.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
@every_part
def test_every_package_is_to_be_had_ready_built_for_the_base_of_the_image(
    part: str, tmp_path: Path
) -> None:
    base = dockerfile.variables(dockerfile.stages(file_of(part))[0])["PYTHON"]
    (version,) = re.findall(r"^python:(3\.\d+)-", base)
    platforms = [f"manylinux{each}_x86_64" for each in ("2014", "_2_17", "_2_28")]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
            *("--only-binary", ":all:", "--python-version", version, "--dest", tmp_path),
            *(word for each in platforms for word in ("--platform", each)),
            *("--requirement", IMAGES / f"{part}.txt"),
        ],
        check=True,
        timeout=500,
    )
    assert len(list(tmp_path.glob("*.whl"))) == len(
        re.findall(r"^[a-z0-9-]+==", (IMAGES / f"{part}.txt").read_text(), re.MULTILINE)
    )


def test_what_builds_is_in_the_lock_as_well() -> None:
    text = (IMAGES / "build.txt").read_text()
    assert "hatchling==" in text
    assert derived.packages(["hatchling"]) == text
