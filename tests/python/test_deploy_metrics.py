"""Dashboard and alerts: each query parses, and asks for metrics and labels of `deploy/metrics.md` alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from binary import Binary
from deployment import DEPLOY, check_command, has_setting, run

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "curriculum.rules.yaml"
DASHBOARD = DEPLOY / "grafana/dashboards/curriculum.json"

# What Prometheus adds when it scrapes, and what a histogram is made of.
OF_TARGETS = {"job", "instance"}
OF_PROMETHEUS: dict[str, tuple[str, set[str]]] = {"up": ("gauge", set())}
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric in the list."""
    rows = re.findall(
        r"^\| `(\w+)` \| (gauge|counter|histogram) \|([^|]*)\|",
        (DEPLOY / "metrics.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def values() -> dict[str, set[str]]:
    """Everything in backticks that the list says of the values of a label, of any metric."""
    found: dict[str, set[str]] = {}
    for label, text in re.findall(
        r"^\| `(\w+)`[^|]* \|([^|]*)\|$", (DEPLOY / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE
    ):
        found.setdefault(label, set()).update(re.findall(r"`(\w+)`", text))
    return found


def alerts() -> list[dict[str, Any]]:
    """All rules, each of which is an alert."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Panels that draw something."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each query with where it stands, Grafana's variables filled in."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m")
            yield panel["title"], re.sub(r'"\$\w+"', '"x"', text)


def walk(node: Any) -> Iterator[Any]:  # noqa: ANN401
    """A parsed query's nodes."""
    yield node
    for part in ("expr", "lhs", "rhs", "vector_selector", "args", "param"):
        child = getattr(node, part, None)
        for one in child if isinstance(child, list) else [child]:
            if one is not None and not isinstance(one, str):
                yield from walk(one)


def selectors(query: str) -> list[Any]:
    """What a query reads."""
    parsed = promql_parser.parse(query)
    return [node for node in walk(parsed) if isinstance(node, promql_parser.VectorSelector)]


@pytest.mark.parametrize(("where", "query"), queries())
def test_queries_ask_for_what_the_server_says(where: str, query: str) -> None:
    metrics = documented() | OF_PROMETHEUS
    found = selectors(query)
    assert found, where
    # Nothing of the query was overlooked.
    assert sorted(one.name for one in found) == sorted(re.findall(r"\b(?:up\b|(?:curriculum|process)_\w+)", query))
    for one in found:
        base = re.sub("(_bucket|_sum|_count)$", "", one.name)
        name = base if metrics.get(base, ("", ()))[0] == "histogram" else one.name
        assert name in metrics, f"{where}: {one.name}"
        kind, labels = metrics[name]
        assert (kind == "histogram") == one.name.endswith(OF_HISTOGRAMS)
        known = labels | OF_TARGETS
        for matcher in one.matchers.matchers:
            assert matcher.name in known, f"{where}: {one.name} has no label {matcher.name}"
    assert grouping(query) <= labels_of(found) | {"le"}, where


def grouping(query: str) -> set[str]:
    """Labels that a query groups or joins by."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"(?:by|on) \(([^)]*)\)", query))))


def labels_of(found: list[Any]) -> set[str]:
    """All labels of the metrics that are read."""
    names = [re.sub("(_bucket|_sum|_count)$", "", one.name) for one in found]
    return set().union(*(documented()[name][1] for name in names if name in documented())) | OF_TARGETS


def test_legends_show_labels_that_are_left() -> None:
    for panel in panels():
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            parsed = re.sub(r'"\$\w+"', '"x"', target["expr"].replace("$__rate_interval", "5m"))
            left = grouping(target["expr"]) or labels_of(selectors(parsed))
            assert shown <= left, panel["title"]


def test_alerts_name_values_that_there_are() -> None:
    listed = values()
    checked = set()
    for rule in alerts():
        for one in selectors(rule["expr"]):
            for matcher in one.matchers.matchers:
                if matcher.name in {"reason", "state", "status", "lane"}:
                    assert set(matcher.value.split("|")) <= listed[matcher.name], rule["alert"]
                    checked.add(matcher.name)
    assert checked == {"reason", "state", "status", "lane"}


def test_counters_are_read_as_rates() -> None:
    counters = [name for name, (kind, _) in documented().items() if kind == "counter"]
    for where, query in queries():
        for name in counters:
            for place in re.finditer(rf"\b{name}\b", query):
                before = re.search(r"(\w+)\($", query[: place.start()])
                assert before is not None and before[1] in {"rate", "increase"}, f"{where}: {name}"


def test_alerts_say_what_to_do_and_are_tested(binary: Binary) -> None:
    tests = (PROMETHEUS / "curriculum.tests.yaml").read_text(encoding="utf-8")
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert f'alertname="{rule["alert"]}"' in tests, rule["alert"]
        description = rule["annotations"]["description"]
        for quoted in re.findall(r"`curriculum ([^`]+)`", description):
            check_command(binary, quoted.split())
        for page in re.findall(r"\((\S+\.md)\)", description):
            assert (DEPLOY / page).is_file()
        for table, key in re.findall(r"\b(storage|grpc)\.(\w+)", description):
            assert has_setting(binary, f"CURRICULUM__{table}__{key}".upper()), f"{table}.{key}"


def test_the_operator_gets_the_same_rules() -> None:
    operator = yaml.safe_load((PROMETHEUS / "prometheus-rule.yaml").read_text(encoding="utf-8"))
    assert operator["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))


def test_the_dashboard_shows_every_metric() -> None:
    shown = "\n".join(target["expr"] for panel in panels() for target in panel["targets"])
    # What the open descriptors are to be compared with: an alert does.
    for name in documented().keys() - {"process_max_fds"}:
        assert re.search(rf"\b{name}(_bucket|_sum|_count)?\b", shown), name


def test_the_dashboard_is_of_grafanas_types() -> None:
    register_default_plugins()
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board)))
    assert list(lost(board, read)) == []


def lost(ours: Any, theirs: Any, place: str = "") -> Iterator[str]:  # noqa: ANN401
    """Where something of the dashboard is not in what Grafana's types made of it, which has defaults too."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs.get(key), f"{place}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{place}/{index}")
    elif ours != theirs:
        yield place


def test_panels_lie_beside_each_other() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", DASHBOARD.read_text(encoding="utf-8"))) <= variables
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x + place["x"], y + place["y"]) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH (Debian: prometheus)")
def test_promtool_takes_rules_and_settings(tmp_path: Path) -> None:
    run("promtool", "check", "rules", RULES)
    run("promtool", "test", "rules", PROMETHEUS / "curriculum.tests.yaml")
    config = (PROMETHEUS / "prometheus.yaml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(config.replace("/etc/prometheus", str(PROMETHEUS)), encoding="utf-8")
    run("promtool", "check", "config", tmp_path / "prometheus.yml")
