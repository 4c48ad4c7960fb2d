"""The pages' own commands, run: keys and certificates are made, used by all three sides, and changed under them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from binary import Binary
from curriculum import Curriculum
from curriculum.errors import PermissionDenied
from deployment import DEPLOY, Object, built, pods, server, server_call
from served import START_SECONDS, features

KEYS_AND_TLS = DEPLOY / "docs/keys-and-tls.md"
JOURNEY = DEPLOY / "docs/from-cluster-to-trainer.md"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")


def commands(page: Path, heading: str) -> list[str]:
    """The commands below a heading."""
    section = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (text,) = [part for part in section if part.partition("\n")[0] == heading]
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in re.split(r"^ *\$ ", block, flags=re.MULTILINE)[1:]]


class Secrets:
    """Stands for the cluster: what `kubectl create secret` makes is files below `folder`, by name of the Secret."""

    def __init__(self, home: Path, folder: Path) -> None:
        """Commands run in `home`."""
        self.home, self.folder = home, folder

    def run(self, command: str) -> None:
        """Runs a command of a page; those of kubectl are acted out."""
        if not command.startswith("kubectl"):
            subprocess.run(["bash", "-ec", command], cwd=self.home, check=True, capture_output=True, timeout=60)
            return
        words = shlex.split(command.replace("\\\n", " "))
        assert words[:4] == ["kubectl", "create", "secret", "generic"], command
        secret = self.folder / words[4]
        secret.mkdir(parents=True, exist_ok=True)
        for word in words:
            if word.startswith("--from-file="):
                key, _, file = word.removeprefix("--from-file=").rpartition("=")
                shutil.copy(self.home / file, secret / (key or file))

    def mounted(self, settings: str, template: Object, container: Object) -> str:
        """Settings whose paths lead here instead of to the volumes of a pod."""
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                (mount,) = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
                settings = settings.replace(mount["mountPath"], str(self.folder / volume["secret"]["secretName"]))
        return settings


class Cluster:
    """The server of the overlay `cpu` with the Secrets of the page, on this machine."""

    def __init__(self, binary: Binary, folder: Path) -> None:
        """Starts it."""
        self.binary, self.home = binary, folder / "home"
        self.home.mkdir()
        self.secrets = Secrets(self.home, folder / "secrets")
        for command in commands(KEYS_AND_TLS, "Making them"):
            self.secrets.run(command)
        objects = built(DEPLOY / "kubernetes/overlays/cpu")
        ((_, template),) = pods(objects)
        container = server(template)
        assert container
        arguments, _ = server_call(objects, template, container, folder)
        file = Path(arguments[arguments.index("--config") + 1])
        file.write_text(self.secrets.mounted(file.read_text(encoding="utf-8"), template, container), encoding="utf-8")
        here = ["--data-dir", str(folder / "data"), "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"]
        # The model of the hub is 87 MB, and not needed for features.
        here += ["--model", "dino_fashion"]
        variables = os.environ | {"CURRICULUM__SOURCES__ALLOW": f'["{folder}"]'}
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([binary.path, *arguments, *here], stdout=log, stderr=log, env=variables)
        self.wait_for("listening on https://127.0.0.1:")
        (self.port,) = re.findall(r"listening on https://127\.0\.0\.1:(\d+)", self._log.read_text(encoding="utf-8"))

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until the server has said it so often."""
        end = time.monotonic() + START_SECONDS
        while self._log.read_text(encoding="utf-8").count(text) < times:
            assert self._process.poll() is None and time.monotonic() < end, self._log.read_text(encoding="utf-8")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM twice: nobody is left to wait for."""
        self._process.terminate()
        time.sleep(0.2)
        self._process.terminate()
        self._process.wait(60)

    def key(self, name: str) -> str:
        """The content of a client's file, as a Secret hands it on."""
        return (self.home / f"{name}.key").read_text(encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """What the page exports before it submits from one's own machine."""
        (line,) = [text for text in commands(JOURNEY, "5. A dataset") if text.startswith("export ")]
        exported = dict(word.split("=", 1) for word in shlex.split(line)[1:])
        exported["CURRICULUM__SERVER"] = exported["CURRICULUM__SERVER"].replace("50051", self.port)
        return exported

    def connect(self, key: str) -> Curriculum:
        """As a trainer that the page sets up, with this key."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.home)
            patch.setenv("CURRICULUM__SERVER", f"localhost:{self.port}")
            patch.setenv("CURRICULUM_TLS_CA", str(self.home / "ca.crt"))
            patch.setenv("CURRICULUM_API_KEY", key)
            return Curriculum.connect(name="imagenet")

    def samples(self, key: str) -> int:
        """Of the curriculum, as read by a trainer with this key."""
        with self.connect(key) as curriculum:
            return curriculum.samples

    def refuses(self, key: str) -> bool:
        """Whether a trainer with this key is turned away."""
        try:
            self.samples(key)
        except PermissionDenied:
            return True
        return False

    def certificate(self) -> str:
        """What a new connection sees, PEM."""
        return ssl.get_server_certificate(("127.0.0.1", int(self.port)))


@pytest.fixture(scope="module")
def cluster(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With `imagenet` published, by the command of the page."""
    folder = tmp_path_factory.mktemp("cluster")
    running = Cluster(binary, folder)
    try:
        np.save(folder / "features.npy", features(500))
        (command,) = [text for text in commands(JOURNEY, "5. A dataset") if text.startswith("curriculum submit")]
        words = shlex.split(command)
        words[:3] = [str(binary.path), "submit", str(folder / "features.npy")]
        done = subprocess.run(words, cwd=running.home, env=running.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield running
    finally:
        running.stop()


def test_the_read_key_is_for_trainers(cluster: Cluster) -> None:
    assert cluster.samples(cluster.key("read")) == 500
    assert cluster.refuses("0" * 64)


def test_the_read_key_submits_nothing(cluster: Cluster) -> None:
    variables = cluster.environment() | {"CURRICULUM_API_KEY_FILE": "read.key"}
    call = [cluster.binary.path, "jobs"]
    done = subprocess.run(call, cwd=cluster.home, env=variables, capture_output=True, text=True)
    # Bad input, as ci.md says: another attempt would end in the same way.
    assert done.returncode == 2, done.stderr


def test_keys_change_as_the_page_says(cluster: Cluster) -> None:
    old = cluster.key("read")
    for command in commands(KEYS_AND_TLS, "Changing a key"):
        cluster.secrets.run(command)
    page = KEYS_AND_TLS.read_text(encoding="utf-8")
    (text,) = re.findall(r"Wait for `([^`]+)` in the server's log", page)
    cluster.wait_for(text)
    new = cluster.key("read")
    assert new != old
    assert cluster.samples(old) == cluster.samples(new) == 500
    (cluster.home / "read.keys").write_text(new)
    cluster.secrets.run(commands(KEYS_AND_TLS, "Changing a key")[-1])
    cluster.wait_for(text, 2)
    assert cluster.samples(new) == 500
    assert cluster.refuses(old)


def test_the_certificate_changes_as_the_page_says(cluster: Cluster) -> None:
    old = cluster.certificate()
    assert old.strip() == (cluster.home / "tls.crt").read_text(encoding="utf-8").strip()
    with cluster.connect(cluster.key("read")) as running:
        for command in commands(KEYS_AND_TLS, "Making them"):
            if "-out tls." in command or "secret generic curriculum-tls" in command:
                cluster.secrets.run(command)
        new = (cluster.home / "tls.crt").read_text(encoding="utf-8").strip()
        end = time.monotonic() + START_SECONDS
        while cluster.certificate().strip() != new:
            assert time.monotonic() < end
            time.sleep(0.05)
        # The connection of before goes on.
        assert running.schedule([3])
    assert old.strip() != new and cluster.samples(cluster.key("read")) == 500
