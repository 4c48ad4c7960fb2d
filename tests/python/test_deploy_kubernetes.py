"""The manifests of `deploy/kubernetes`: they build, fit Kubernetes' schemas, and say what the binary understands."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest

from binary import Binary
from deployment import (
    OVERLAYS,
    Object,
    built,
    check_command,
    containers,
    dockerfile,
    pods,
    server,
    server_call,
    settings,
    variables,
)
from served import START_SECONDS

# The oldest release with all that the manifests use (a preStop that sleeps), and the newest the schemas know.
RELEASES = ("1.30", kubernetes_validate.latest_version())

# Of the Prometheus Operator, not of Kubernetes: kubernetes_validate has no schema for them.
OPERATOR = {"ServiceMonitor", "PrometheusRule"}

pytestmark = pytest.mark.parametrize("objects", OVERLAYS, ids=lambda overlay: overlay.name, indirect=True)


@pytest.fixture(scope="module")
def objects(request: pytest.FixtureRequest) -> list[Object]:
    """All objects of an overlay."""
    return built(request.param)


@pytest.fixture(scope="module")
def side_port(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running server's side port."""
    folder = tmp_path_factory.mktemp("side")
    command = [binary.path, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--data-dir", "data"]
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=out, stderr=log)
    try:
        end = time.monotonic() + START_SECONDS
        while (said := re.search(r"metrics on (http://\S+)/metrics", (folder / "out").read_text())) is None:
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield said[1]
    finally:
        server.terminate()
        server.wait(60)


def mounts(container: Object) -> list[str]:
    """Folders that a container may write to."""
    return [mount["mountPath"] for mount in container.get("volumeMounts", []) if not mount.get("readOnly")]


def below(path: str, folders: list[str]) -> bool:
    """Whether a path lies in one of the folders."""
    return any(Path(path).is_relative_to(folder) for folder in folders)


@pytest.mark.parametrize("release", RELEASES)
def test_objects_fit_the_schemas(objects: list[Object], release: str) -> None:
    for item in objects:
        if item["kind"] not in OPERATOR:
            kubernetes_validate.validate(item, release, strict=True)
        assert item["metadata"]["namespace"] == "curriculum", item["metadata"]["name"]


def test_pods_pass_the_restricted_standard_and_hold_no_token(objects: list[Object]) -> None:
    found = pods(objects)
    assert found
    for _, template in found:
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
        assert {stage.only("USER") for stage in dockerfile().values() if stage.name in {"cpu", "cuda"}} == {user}
        for container in containers(template):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]


def test_pods_refer_to_what_is_there(objects: list[Object]) -> None:
    names = {(item["kind"], item["metadata"]["name"]) for item in objects}
    for _, template in pods(objects):
        spec = template["spec"]
        if "serviceAccountName" in spec:
            assert ("ServiceAccount", spec["serviceAccountName"]) in names
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                name = volume["configMap"]["name"]
                assert ("ConfigMap", name) in names
                assert re.fullmatch(r"[a-z-]+-config-[a-z0-9]{10}", name), "the name has no hash"


def test_selectors_select_the_pods_and_ports_have_names_there(objects: list[Object]) -> None:
    labels = [template["metadata"].get("labels", {}) for _, template in pods(objects)]
    ports = {
        port["name"] for _, template in pods(objects) for one in containers(template) for port in one.get("ports", [])
    }
    for item in objects:
        spec = item.get("spec", {})
        selector = {
            "Service": lambda spec=spec: spec["selector"],
            "StatefulSet": lambda spec=spec: spec["selector"]["matchLabels"],
            "Deployment": lambda spec=spec: spec["selector"]["matchLabels"],
            "PodDisruptionBudget": lambda spec=spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec=spec: spec["podSelector"]["matchLabels"],
        }.get(item["kind"])
        if selector is not None:
            assert any(selector().items() <= pod.items() for pod in labels), item["metadata"]["name"]
        if item["kind"] == "Service":
            assert {port["targetPort"] for port in spec["ports"]} <= ports
        if item["kind"] == "NetworkPolicy":
            assert {port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]} <= ports
        if item["kind"] == "ServiceMonitor":
            services = [
                service
                for service in objects
                if service["kind"] == "Service"
                and spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            ]
            exposed = [port["name"] for service in services for port in service["spec"]["ports"]]
            # Once: a port of two services would be scraped twice.
            assert [exposed.count(endpoint["port"]) for endpoint in spec["endpoints"]] == [1]


def test_commands_are_the_binarys(objects: list[Object], binary: Binary) -> None:
    for _, template in pods(objects):
        for container in containers(template):
            assert "command" not in container, "the image's entrypoint is the binary"
            check_command(binary, container["args"])
            if container["args"][0] != "serve":
                shown = binary.run(container["args"][0], "--help").stdout
                for name, value in variables(container).items():
                    assert name in shown, name
                    folders = [mount["mountPath"] for mount in container["volumeMounts"]]
                    assert not value.startswith("/") or below(value, folders), f"{name}: {value}"


def test_probes_are_answered(objects: list[Object], side_port: str) -> None:
    monitors = [item["spec"] for item in objects if item["kind"] == "ServiceMonitor"]
    asked = {endpoint["path"] for monitor in monitors for endpoint in monitor["endpoints"]}
    for container in filter(None, (server(template) for _, template in pods(objects))):
        probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert [probe["path"] for probe in probes.values()] == ["/startupz", "/readyz", "/livez"]
        assert {probe["port"] for probe in probes.values()} == {"http"}
        asked |= {probe["path"] for probe in probes.values()}
    for path in asked:
        with urllib.request.urlopen(side_port + path, timeout=60) as answer:
            assert answer.status == 200


def test_servers_start_with_their_settings(objects: list[Object], binary: Binary, tmp_path: Path) -> None:
    for item, template in pods(objects):
        container = server(template)
        if container is None:
            continue
        config = settings(binary, *server_call(objects, template, container, tmp_path))
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for name, section in (("grpc", "grpc"), ("http", "http")):
            host, port = config[section]["addr"].rsplit(":", 1)
            assert (host, int(port)) == ("0.0.0.0", ports[name])
        # ONNX Runtime writes the profile of its first run to the folder of temporary files.
        assert below(config["storage"]["data_dir"], mounts(container))
        assert config["versions"]["read_only"] or "/tmp" in mounts(container)
        readable = [mount["mountPath"] for mount in container["volumeMounts"]]
        files = [value for table in ("tls", "auth") for key, value in config[table].items() if key.endswith("_file")]
        assert files and all(below(file, readable) for file in files)
        # Everything that comes after the order to stop has to fit into the grace period.
        grace = template["spec"]["terminationGracePeriodSeconds"]
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        stopping = sleep + config["grpc"]["drain_delay_seconds"] + config["grpc"]["drain_seconds"]
        assert stopping + 10 <= grace, f"{item['metadata']['name']}: {stopping} s and a flush in {grace} s"
        model_is_there(config["model"]["name"], template, binary)


def model_is_there(name: str, template: Object, binary: Binary) -> None:
    """That a model of the hub is fetched before the server starts."""
    fetched = [one["args"][2] for one in containers(template) if one["args"][:2] == ["models", "pull"]]
    assert name in binary.run("models", "list").stdout
    assert fetched == ([] if name == "dino_fashion" else [name])
