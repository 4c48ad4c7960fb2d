"""Pages and workflows of `deploy/`: their commands, settings, variables, manifests and outputs are real."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from binary import Binary
from deployment import DEPLOY, built, check_command, has_setting, pods, run, tool

PAGES = sorted([*DEPLOY.glob("*.md"), *(DEPLOY / "docs").glob("*.md")])
WORKFLOW = DEPLOY / "ci/github-actions.yml"

# Objects of what is installed beside Kubernetes: kubernetes_validate has no schema for them.
ELSEWHERE = {"VolumeSnapshot", "Certificate"}


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The calls of `curriculum` in a script, as lists of arguments."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        match = re.match(r"\s*(?:\$ )?(?:\./)?curriculum (.*)", line)
        if match:
            words = shlex.split(match[1], comments=True)
            end = next((place for place, word in enumerate(words) if word in {"&", "|", ">"}), len(words))
            found.append(words[:end])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_say_what_there_is(page: Path, binary: Binary) -> None:
    text = page.read_text(encoding="utf-8")
    for block in fenced(page, "console"):
        for arguments in commands(block):
            check_command(binary, arguments)
        for path in re.findall(r"(?:--kustomize|--filename|--config|--file) (deploy/\S+)", block):
            assert (DEPLOY.parent / path).exists(), path
    for block in fenced(page, "yaml"):
        for item in yaml.safe_load_all(block):
            if item["kind"] not in ELSEWHERE:
                kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)
    for quoted in re.findall(r"`(curriculum [^`]+)`", text):
        check_command(binary, shlex.split(quoted)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_and_variables_are_known(page: Path, binary: Binary) -> None:
    text = page.read_text(encoding="utf-8")
    tables = tomllib.loads(binary.run("check-config").stdout)
    # Keys such as tls.key are files of a Secret.
    for table, key in set(re.findall(rf"`({'|'.join(tables)})\.([a-z_]+)`", text)) - {("tls", "crt"), ("tls", "key")}:
        assert has_setting(binary, f"CURRICULUM__{table}__{key}".upper()), f"{page.name}: {table}.{key}"
    for block in fenced(page, "toml"):
        for table, keys in tomllib.loads(block).items():
            assert all(has_setting(binary, f"CURRICULUM__{table}__{key}".upper()) for key in keys), block
    clients = binary.run("submit", "--help").stdout + (DEPLOY.parent / "python/README.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"\bCURRICULUM_\w+\b", text)):
        assert name in clients or has_setting(binary, name), f"{page.name}: {name}"


def test_the_page_of_settings_has_all_of_them_with_their_defaults(binary: Binary) -> None:
    (block,) = fenced(DEPLOY / "settings.md", "toml")
    assert tomllib.loads(block) == tomllib.loads(binary.run("check-config").stdout)
    # And those that are not set unless somebody does, which nothing prints.
    section, unset = "", set()
    for line in block.splitlines():
        section = match[1] if (match := re.match(r"\[(\w+)\]", line)) else section
        if match := re.match(r"# (\w+) = ", line):
            unset.add(f"{section}.{match[1]}")
            assert has_setting(binary, f"CURRICULUM__{section}__{match[1]}".upper()), line
    others = "".join(page.read_text(encoding="utf-8") for page in [*PAGES, DEPLOY.parent / "README.md"])
    named = set(re.findall(r"`((?:grpc|tls|auth|http|storage|sources|versions|model|log)\.[a-z_]+)`", others))
    printed = {f"{table}.{key}" for table, keys in tomllib.loads(block).items() for key in keys}
    assert named <= unset | printed | {"tls.crt", "tls.key"}, named - unset - printed


def test_unknown_settings_would_be_seen(binary: Binary) -> None:
    assert has_setting(binary, "CURRICULUM__TLS__CERT_FILE") and has_setting(binary, "CURRICULUM__GRPC__DRAIN_SECONDS")
    assert not has_setting(binary, "CURRICULUM__GRPC__NOTHING") and not has_setting(binary, "CURRICULUM__NOTHING__ADDR")
    assert not has_setting(binary, "CURRICULUM_NOTHING")


def test_every_page_can_be_found() -> None:
    index = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.name == "README.md" or f"]({page.relative_to(DEPLOY)})" in index, page


def test_the_workflow_fits_its_schema_and_the_binary(binary: Binary) -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    (job,) = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    calls = [arguments for script in scripts for arguments in commands(script)]
    assert [call[0] for call in calls] == ["submit", "promote"]
    for call in calls:
        check_command(binary, call)
    # A tag can be moved, a commit cannot.
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in job["steps"] if "uses" in step)
    names = set(job["env"]) | {name for step in job["steps"] for name in step.get("env", {})}
    help_text = binary.run("submit", "--help").stdout
    for name in names:
        assert not name.startswith("CURRICULUM_") or name in help_text, name


def test_the_nightly_job_is_the_job() -> None:
    job, nightly = (template["spec"] for _, template in pods(built(DEPLOY / "kubernetes/overlays/ci")))
    assert job == nightly
