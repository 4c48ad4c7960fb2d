"""What each overlay is made of, and whether a pod's memory holds what its settings allow."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from binary import Binary
from deployment import DEPLOY, OVERLAYS, Object, built, containers, pods, server, server_call, settings

WRITER = {
    "ServiceAccount": 1,
    "Service": 2,
    "StatefulSet": 1,
    "PodDisruptionBudget": 1,
    "NetworkPolicy": 1,
    # Settings and the dashboard.
    "ConfigMap": 2,
    "ServiceMonitor": 1,
    "PrometheusRule": 1,
}
REPLICAS = {
    "ServiceAccount": 1,
    "Service": 2,
    "Deployment": 1,
    "HorizontalPodAutoscaler": 1,
    "PodDisruptionBudget": 1,
    "NetworkPolicy": 1,
    "ConfigMap": 1,
}
KINDS = {"cpu": WRITER, "gpu": WRITER, "replicas": REPLICAS, "ci": {"Job": 1, "CronJob": 1}}

# The most that a call holds whose client does not read (an export's), and a connection with TLS.
SLOW_CALL = 2 << 20
# The first message of a call that is on its way, a reader's; and what is uploaded, as it comes and as it is read.
FIRST_MESSAGE = 256 << 10
UPLOADS = 512 << 20
CONNECTION = 64 << 10
# Beside what settings bound: the process; in a writer the model, batches of images, and the sample that is clustered.
PROCESS = 512 << 20
JOBS = 1536 << 20

UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


def overlay(name: str) -> list[Object]:
    """Its objects."""
    return built(DEPLOY / "kubernetes/overlays" / name)


def one(objects: list[Object], kind: str) -> Object:
    """The only object of a kind."""
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def quantity(text: str) -> int:
    """Bytes."""
    return int(text[:-2]) * UNITS[text[-2:]]


def test_all_overlays_are_known() -> None:
    assert {path.name for path in OVERLAYS} == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_missing(name: str) -> None:
    assert Counter(item["kind"] for item in overlay(name)) == KINDS[name]


@pytest.mark.parametrize("name", ["cpu", "gpu", "replicas"])
def test_one_service_has_an_address_and_one_names_the_pods(name: str) -> None:
    services = [item["spec"] for item in overlay(name) if item["kind"] == "Service"]
    assert sorted(spec.get("clusterIP", "") for spec in services) == ["", "None"]


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_writer_is_one_pod_with_a_volume(name: str) -> None:
    objects = overlay(name)
    spec = one(objects, "StatefulSet")["spec"]
    assert spec["replicas"] == 1
    services = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "Service"}
    assert services[spec["serviceName"]]["clusterIP"] == "None"
    (claim,) = spec["volumeClaimTemplates"]
    container = server(spec["template"])
    assert container and claim["metadata"]["name"] in {mount["name"] for mount in container["volumeMounts"]}
    # With one pod anything stricter would keep its node from ever being drained.
    assert one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_gpu_is_asked_for_where_it_is_used() -> None:
    for name, wanted in (("cpu", False), ("gpu", True)):
        spec = one(overlay(name), "StatefulSet")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert (container["resources"]["limits"].get("nvidia.com/gpu") == "1") is wanted
        assert (spec.get("runtimeClassName") == "nvidia") is wanted
        assert ("nvidia.com/gpu.present" in spec.get("nodeSelector", {})) is wanted
        assert ("nvidia.com/gpu" in {taint["key"] for taint in spec.get("tolerations", [])}) is wanted
        assert all("nvidia.com/gpu" not in first["resources"]["limits"] for first in spec["initContainers"])


def test_replicas_are_scaled_and_only_read() -> None:
    objects = overlay("replicas")
    deployment = one(objects, "Deployment")
    scaler = one(objects, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    # The autoscaler's number, which applying the manifests again must not set back.
    assert "replicas" not in deployment["spec"]
    (container,) = containers(deployment["spec"]["template"])
    assert "cpu" in container["resources"]["requests"], "the autoscaler counts in shares of it"
    arguments = container["args"]
    assert "--read-only" in arguments and arguments[arguments.index("--versions") + 1].startswith("s3://")
    (keys,) = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "keys"]
    assert [item["key"] for item in keys["secret"]["items"]] == ["read"]


def test_ci_submits_and_waits() -> None:
    for _, template in pods(overlay("ci")):
        (container,) = containers(template)
        assert container["args"][0] == "submit" and "--wait" in container["args"]
        assert template["metadata"]["labels"]["curriculum-client"] == "true", "the NetworkPolicy turns it away"


@pytest.mark.parametrize("name", ["cpu", "gpu", "replicas"])
def test_memory_holds_what_settings_allow(name: str, binary: Binary, tmp_path: Path) -> None:
    objects = overlay(name)
    ((_, template),) = pods(objects)
    container = server(template)
    assert container
    config = settings(binary, *server_call(objects, template, container, tmp_path))
    bound = config["storage"]["cache_bytes"] + config["storage"]["weights_cache_bytes"] + PROCESS
    bound += config["grpc"]["max_concurrent_requests"] * (SLOW_CALL + FIRST_MESSAGE)
    bound += config["grpc"]["max_connections"] * CONNECTION
    bound += 0 if config["versions"]["read_only"] else JOBS + UPLOADS
    limit = quantity(container["resources"]["limits"]["memory"])
    assert bound <= limit, f"{bound >> 20} MiB in {limit >> 20}"


@pytest.mark.parametrize("name", ["cpu", "gpu", "replicas"])
def test_spans_find_their_collector(name: str, binary: Binary, tmp_path: Path) -> None:
    folder, kubernetes = tmp_path.resolve(), DEPLOY / "kubernetes"
    wanted = {
        "resources": [os.path.relpath(kubernetes / "overlays" / name, folder)],
        "components": [os.path.relpath(kubernetes / "components/tracing", folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(wanted), encoding="utf-8")
    objects = built(folder)
    assert Counter(item["kind"] for item in objects) == KINDS[name]
    ((workload, template),) = pods(objects)
    kubernetes_validate.validate(workload, kubernetes_validate.latest_version(), strict=True)
    container = server(template)
    assert container
    given = {entry["name"]: entry for entry in container["env"] if entry["name"].startswith("OTEL_")}
    content = binary.path.read_bytes()
    assert given and all(variable.encode() in content for variable in given)
    # A variable may refer to those before it.
    names = [entry["name"] for entry in container["env"]]
    assert "$(POD)" in given["OTEL_RESOURCE_ATTRIBUTES"]["value"]
    assert names.index("POD") < names.index("OTEL_RESOURCE_ATTRIBUTES")
    collector = urlsplit(given["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"])
    (_, namespace, _) = str(collector.hostname).split(".")
    rules = one(objects, "NetworkPolicy")["spec"]["egress"]
    (rule,) = [rule for rule in rules if rule["ports"] == [{"port": collector.port}]]
    (to,) = rule["to"]
    assert to["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": namespace}
