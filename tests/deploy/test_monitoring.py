"""Alert rules and dashboard ask about metrics that there are, by labels that these have."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from detector.config import WebSettings
from detector.metrics import Metrics
from tests.deploy.reading import DEPLOY, asked

RULES = DEPLOY / "prometheus" / "redshank.rules.yaml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DEPLOY / "grafana" / "redshank.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
FOREIGN = {"up": set[str](), "apiserver_audit_error_total": {"plugin"}, "apiserver_audit_event_total": set[str]()}
"""Metrics of others: of Prometheus, and of kube-apiserver (k8s.io/apiserver/pkg/audit/metrics.go)."""
ADDED = {"job", "instance"}
"""Labels that Prometheus adds."""
_LEGEND = re.compile(r"\{\{([a-z_]+)\}\}")
_LABEL = re.compile(r"\$labels\.([a-z_]+)")
_CALLED = re.compile(r"\{\{\s*\$(labels\.[a-z_]+|value)\s*(?:\|\s*(?:humanize|humanizeDuration)\s*)?\}\}")


SUFFIXES = {
    "counter": ["_total"],
    "gauge": [""],
    "histogram": ["_bucket", "_count", "_sum"],
    "info": ["_info"],
}
"""How the samples of a family are called, by its type."""


@pytest.fixture(scope="module")
def families() -> list[Metric]:
    metrics = Metrics()
    metrics.fold.clusters["prod"] = {}
    return list(metrics.registry.collect())


@pytest.fixture(scope="module")
def known(families: list[Metric]) -> dict[str, set[str]]:
    """The name of every sample that redshank gives, with its labels."""
    collectors = vars(Metrics().registry)["_names_to_collectors"]
    names = dict(FOREIGN)
    for family in families:
        own = getattr(collectors.get(family.name), "_labelnames", ())
        labels = {*own, *(label for sample in family.samples for label in sample.labels)}
        for suffix in SUFFIXES[family.type]:
            names[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return names


def check(expression: str, known: dict[str, set[str]]) -> None:
    """Fail when an expression asks about a metric or a label that there is not."""
    for metric, labels in asked(expression).items():
        assert metric in known, expression
        assert set(labels) <= known[metric] | ADDED, expression


@pytest.mark.parametrize("wrong", ["redshank_batches", "redshank_batches_total{sink='x'}", "sum by (x) (up)"])
def test_a_metric_or_label_that_is_not_there_is_noticed(wrong: str, known: dict[str, set[str]]) -> None:
    with pytest.raises(AssertionError, match=r"redshank_batches|up"):
        check(wrong, known)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_about_what_there_is_and_says_what_to_do(
    rule: dict[str, Any], known: dict[str, set[str]]
) -> None:
    check(rule["expr"], known)
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_names_only_labels_that_it_is_about(rule: dict[str, Any], known: dict[str, set[str]]) -> None:
    text = "".join(rule["annotations"].values())
    assert len(_CALLED.findall(text)) == text.count("{{")
    grouped = re.search(r"\bby \(([^)]*)\)", rule["expr"])
    kept = (
        set(re.split(r",\s*", grouped[1])) if grouped else {one for name in asked(rule["expr"]) for one in known[name]}
    )
    assert set(_LABEL.findall(text)) <= kept


@pytest.mark.parametrize("page", ["kube-apiserver.md", "high-availability.md"])
def test_pages_name_metrics_that_there_are(page: str, known: dict[str, set[str]]) -> None:
    text = (DEPLOY.parent / "docs" / page).read_text()
    named = re.findall(r"`((?:redshank|apiserver)_[a-z_]+(?:\{[^`]*\})?)`", text)
    assert named
    for one in named:
        check(one, known)


def test_no_two_alerts_have_one_name() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert len(names) == len(set(names)) > 15


def test_what_is_counted_apart_exists(families: list[Metric]) -> None:
    values = {sample.labels["what"] for family in families for sample in family.samples if "what" in sample.labels}
    expressions = [rule["expr"] for rule in ALERTS] + [target["expr"] for _, target in QUERIES]
    used = {labels["what"] for one in expressions for labels in asked(filled(one)).values() if labels.get("what")}
    assert used
    assert used <= values


def test_prometheus_is_told_of_the_rules_and_of_the_port() -> None:
    settings = yaml.safe_load((RULES.parent / "prometheus.yaml").read_text())
    assert settings["rule_files"] == [RULES.name]
    (job,) = settings["scrape_configs"]
    assert job["job_name"] == "redshank"
    assert job["static_configs"][0]["targets"] == [f"redshank.redshank.svc:{WebSettings().address.port}"]


def filled(expression: str) -> str:
    """Put values for Grafana's variables."""
    return expression.replace("$__rate_interval", "5m").replace("$cluster", ".*")


@pytest.mark.parametrize(("title", "target"), QUERIES, ids=[f"{title} {one['refId']}" for title, one in QUERIES])
def test_a_panel_asks_about_what_there_is(title: str, target: dict[str, Any], known: dict[str, set[str]]) -> None:
    expression = filled(target["expr"])
    assert "$" not in expression
    check(expression, known)
    labels = {one for labels in asked(expression).values() for one in labels}
    assert set(_LEGEND.findall(target["legendFormat"])) <= labels | ADDED


def test_panels_have_each_its_place_and_its_own_queries() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for one, other in combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for panel in PANELS:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_the_dashboard_asks_which_source_to_use() -> None:
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)\}?", json.dumps(PANELS).replace("$__", ""))) <= variables
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
