"""`compose.yaml`: of its schema, and in step with the image and the binary."""

from __future__ import annotations

import re

import yaml

from binary import Binary
from deployment import DEPLOY, dockerfile, run, settings, tool


def test_compose_fits_its_schema_and_the_binary(binary: Binary) -> None:
    file = DEPLOY / "compose.yaml"
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file)
    services = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    server = services["curriculum"]
    stage = dockerfile()[server["build"]["target"]]
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in server["environment"].items()}
    config = settings(binary, ["serve"], stage.environment() | defaults)
    (published,) = server["ports"]
    assert published == f"127.0.0.1:50051:{config['grpc']['addr'].rsplit(':', 1)[1]}"
    assert server["read_only"] is True and server["tmpfs"] == ["/tmp"] and server["cap_drop"] == ["ALL"]
    assert int(server["stop_grace_period"].rstrip("s")) >= config["grpc"]["drain_seconds"] + 10
    for service in services.values():
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-(.*)\}", r"\1", volume.rsplit("}:", 1)[0] + "}" if "}:" in volume else volume)
            source = source.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), source
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text(encoding="utf-8"))
    (scrape,) = prometheus["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": [f"curriculum:{config['http']['addr'].rsplit(':', 1)[1]}"]}]
