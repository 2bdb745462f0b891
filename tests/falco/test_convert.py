"""A rules file with every construct: which events fire its rules, and what is said of those that have no equivalent."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from detector.errors import RuleError
from detector.event import Event
from detector.sigma.falco.convert import LEVELS
from detector.sigma.lint import lint
from detector.sigma.source import RuleFile
from tests.falco.converting import LOCAL, RULES, converted, fired, imported, one, pod
from tests.support import event

SECRET = {"resource": "secrets", "namespace": "shop", "name": "db"}


def of(name: str) -> dict[str, Any]:
    return next(each.document for each in imported().converted if each.name == name)


def who(name: str, **attributes: Any) -> Event:
    return event(**{"user": {"username": name}, **attributes})


def exec_(command: str, namespace: str | None = "shop", name: str = "ann") -> Event:
    ref = {"resource": "pods", "namespace": namespace, "subresource": "exec"}
    uri = f"/api/v1/namespaces/shop/pods/web/exec?command={command}&command=-c"
    return who(name, verb="get", objectRef=ref, requestURI=uri)


def uri(text: str, code: int = 200) -> Event:
    return who("ann", requestURI=text, responseStatus={"code": code})


def role(*resources: str) -> Event:
    rules = [{"verbs": ["get"], "resources": ["pods"]}, {"verbs": ["create"], "resources": list(resources)}]
    return who("ann", verb="create", objectRef={"resource": "roles"}, requestObject={"rules": rules})


OWN, FOREIGN = {"image": "registry.example.com/web:1"}, {"image": "docker.io/web:1"}
PRIVILEGED = {"securityContext": {"privileged": True}}
ANN = {"user": {"username": "ann"}}

FIRES: list[tuple[str, Event]] = [
    ("Stranger at work", who("eve")),
    ("Stranger at work", who("Ann")),
    ("Privileged pod of foreign images", pod({**FOREIGN, **PRIVILEGED}, **ANN)),
    ("Privileged pod of foreign images", pod({**OWN, **PRIVILEGED}, FOREIGN, **ANN)),
    ("Privileged pod of foreign images", pod(FOREIGN, spec={"hostPID": True}, **ANN)),
    ("Privileged pod of foreign images", pod({"image": "registry.example.com/web2", **PRIVILEGED}, **ANN)),
    ("Privileged pod of foreign images", pod({"name": "x", **PRIVILEGED}, **ANN)),
    ("Mounts of the node", pod(OWN, spec={"volumes": [{"name": "a"}, {"hostPath": {"path": "/etc"}}]}, **ANN)),
    ("Odd addresses", uri("/api/v1/nodes/a/Proxy/x")),
    ("Odd addresses", uri("/Debug/pprof")),
    ("Odd addresses", uri("/api/v1/nodes/n/stats")),
    ("Odd addresses", uri("/api/v1/secrets/db")),
    ("Odd addresses", uri("/index.Php")),
    ("Odd addresses", uri("/x12/y")),
    ("Odd addresses", uri("/metrics")),
    ("Odd addresses", uri("/metrics/cadvisor", 301)),
    ("Odd addresses", uri("/logs/x")),
    ("Interpreter in a pod", exec_("sh")),
    ("Interpreter in a pod", exec_("%2Fbin%2Fba%20sh")),
    ("Role that can run things", role("*")),
    ("Role that can run things", role("x", "pods/exec")),
    ("First image", pod({"image": "bad", "name": "web"}, **ANN)),
    ("First image", pod({"image": "good", "name": "web"}, {"image": "bad", "name": "b"}, **ANN)),
    ("Secret was read", who("ann", objectRef=SECRET)),
    ("Secret was read", who("ci-1", objectRef=SECRET)),
    ("Secret was read", who("Vault", objectRef=SECRET)),
]
SILENT: list[tuple[str, Event]] = [
    ("Stranger at work", who("ann")),
    ("Stranger at work", who("deploy robot")),
    ("Stranger at work", who("system:node:a")),
    ("Stranger at work", who("eve", stage="ResponseStarted")),
    ("Privileged pod of foreign images", pod({**OWN, **PRIVILEGED}, {"image": "registry.example.com/db@sha256:1"})),
    ("Privileged pod of foreign images", pod({**FOREIGN, "securityContext": {"privileged": False}})),
    ("Privileged pod of foreign images", pod({**FOREIGN, **PRIVILEGED}, verb="update")),
    ("Mounts of the node", pod(OWN, spec={"volumes": [{"hostPath": {"path": "/ETC"}}]})),
    ("Mounts of the node", pod(OWN, spec={"volumes": [{"hostPath": {"path": "/etc/x"}}]})),
    ("Odd addresses", uri("/api/v1/pods/a/proxy/x")),
    ("Odd addresses", uri("/api/v1/nodes/ab/stats")),
    ("Odd addresses", uri("/index.php")),
    ("Odd addresses", uri("/a/x12/y")),
    ("Odd addresses", uri("/metrics2")),
    ("Odd addresses", uri("/metrics", 403)),
    ("Interpreter in a pod", exec_("SH")),
    ("Interpreter in a pod", exec_("ls")),
    ("Interpreter in a pod", exec_("sh", namespace="kube-system")),
    ("Interpreter in a pod", exec_("sh", namespace=None)),
    ("Role that can run things", role("pods")),
    ("First image", pod({"image": "good", "name": "web"})),
    ("First image", pod({"image": "bad", "name": "db"})),
    ("Secret was read", who("vault", objectRef=SECRET)),
    ("Secret was read", who("backup robot", objectRef=SECRET)),
    ("Secret was read", who("ci-1", objectRef={**SECRET, "namespace": "test"})),
    ("Secret was read", who("cd-1", objectRef={**SECRET, "namespace": "deploy"})),
    ("Secret was read", who("ann", objectRef={**SECRET, "resource": "configmaps"})),
]


@pytest.mark.parametrize(("name", "seen"), FIRES)
def test_a_converted_rule_fires_where_falco_does(name: str, seen: Event) -> None:
    assert name in fired(imported(), seen)


@pytest.mark.parametrize(("name", "seen"), SILENT)
def test_a_converted_rule_is_silent_where_falco_is(name: str, seen: Event) -> None:
    assert name not in fired(imported(), seen)


def test_what_is_not_converted_is_listed_with_place_and_reason() -> None:
    said = {each.name: (each.line, each.reason) for each in imported().refused}
    lines = RULES.read_text().split("\n")
    assert set(said) == {"Never", "Shell in a container", "Whose address"}
    assert lines[said["Never"][0] - 1] == "  condition: makes and known_here"
    assert (
        said["Never"][1] == "it never holds because of known_here → never: change one of these macros and import again"
    )
    assert said["Shell in a container"][1] == "it is about syscall events, not about Kubernetes audit events"
    assert lines[said["Whose address"][0] - 1].startswith("  condition: ka.req.pod.containers.eff_run_as_user")
    assert "ask run_as_user" in said["Whose address"][1]


def test_every_converted_rule_passes_the_linter_together_with_the_others() -> None:
    files = [RuleFile(each.file, each.text) for each in imported().converted]
    assert len(files) == 9
    assert [problem for problem in lint(files) if problem.severity == "error"] == []


def test_a_converted_rule_says_what_falco_says_of_it() -> None:
    made = of("Stranger at work")
    assert made["description"] == "Somebody who is not on the list did something."
    assert made["level"] == "low"
    assert made["tags"] == ["attack.initial-access", "attack.t1078"]
    assert made["fields"] == ["user.username", "verb", "objectRef.resource", "objectRef.name"]
    assert made["redshank"] == {
        "pack": "extended",
        "message": "A stranger at work (user={user.username} verb={verb} what={objectRef.resource}/{objectRef.name})",
    }
    assert made["falco"]["tags"] == ["k8s", "mitre_initial_access", "T1078", "CIS_1.2"]


def test_macros_keep_their_names() -> None:
    assert of("Mounts of the node")["detection"] == {
        "pod": {"objectRef.resource": "pods", "objectRef.subresource": None},
        "path": {"requestObject.spec.volumes.hostPath.path|cased": ["/", "/etc", "/var/run/docker.sock"]},
        "condition": "pod and path",
    }


def test_rules_that_are_switched_off_go_to_hunting() -> None:
    assert of("Quiet")["redshank"]["pack"] == "hunting"


@pytest.mark.parametrize(("priority", "level"), LEVELS.items())
def test_priorities_are_levels(priority: str, level: str) -> None:
    (made,) = converted({"rule": "r", "condition": "ka.verb=get", "priority": priority.title()}).converted
    assert made.document["level"] == level


def test_ids_stay_when_rules_are_imported_again() -> None:
    first, again = (
        converted({"rule": "r", "condition": "ka.verb=get"}),
        converted({"rule": "r", "condition": "ka.uri=/"}),
    )
    assert first.converted[0].document["id"] == again.converted[0].document["id"]


def test_what_means_something_else_here_is_noted() -> None:
    notes = {each.name: each.notes for each in imported().converted if each.notes}
    assert set(notes) == {"First image", "Odd addresses"}
    assert any("first (or the one numbered)" in note for note in notes["First image"])
    assert any("compared as numbers" in note for note in notes["Odd addresses"])


def test_exceptions_bind_to_the_last_alternative_as_in_falco_and_that_is_noted() -> None:
    exceptions = [{"name": "e", "fields": "ka.user.name", "values": ["ann"]}]
    (made,) = converted({"rule": "r", "condition": "ka.verb=get or ka.verb=list", "exceptions": exceptions}).converted
    assert any("last alternative" in note for note in made.notes)
    conversion = converted({"rule": "r", "condition": "ka.verb=get or ka.verb=list", "exceptions": exceptions})
    assert fired(conversion, who("ann", verb="get")) == {"r"}
    assert fired(conversion, who("ann", verb="list")) == set()
    bracketed = converted({"rule": "r", "condition": "(ka.verb=get or ka.verb=list)", "exceptions": exceptions})
    assert fired(bracketed, who("ann", verb="get")) == set()


def test_a_local_file_changes_the_rules_before_it() -> None:
    conversion = imported(RULES, LOCAL)
    by_name = {each.name: each.document for each in conversion.converted}
    assert by_name["Quiet"]["redshank"]["pack"] == "extended"
    assert by_name["Stranger at work"]["redshank"]["pack"] == "hunting"
    assert by_name["Mounts of the node"]["level"] == "medium"
    mount = {"volumes": [{"hostPath": {"path": "/etc"}}]}
    assert "Mounts of the node" not in fired(conversion, pod(OWN, spec=mount, verb="update"))
    assert "Stranger at work" not in fired(conversion, who("night-robot"))
    assert "Secret was read" not in fired(conversion, who("eve", objectRef={**SECRET, "name": "public-key"}))
    assert "Secret was read" in fired(conversion, who("eve", objectRef=SECRET))
    assert "Privileged pod of foreign images" not in fired(conversion, pod({**FOREIGN, **PRIVILEGED}, **ANN))
    assert "Never" in by_name  # its switch is a condition now


def test_files_of_rules_have_different_names() -> None:
    rules = [{"rule": name, "condition": "ka.verb=get"} for name in ("A b", "a/B", "../..", "…")]
    assert [each.file for each in converted(*rules).converted] == ["a-b.yml", "a-b-2.yml", "rule.yml", "rule-2.yml"]


def test_what_is_written_is_ascii_and_without_anchors() -> None:
    shared = ["ann", "eve"]
    conversion = converted(
        {"list": "people", "items": shared},
        {"rule": "Ré\x1b[31m\u202e", "condition": "ka.user.name in (people) or ka.impuser.name in (people)"},
    )
    (made,) = conversion.converted
    assert made.text.isascii()
    assert made.text.replace("\n", "").isprintable()
    assert "&id" not in made.text
    assert yaml.safe_load(made.text)["title"] == "Ré\x1b[31m\u202e"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("nothing_here", "there is no macro 'nothing_here'"),
        ("evt.type = open", "evt.type is no field of Kubernetes audit events"),
        ("ka.target.nam = x", "ka.target.nam is no field of Kubernetes audit events"),
        ("ka.req.configmap.obj contains x", "would show in alerts what it holds"),
        ("ka.user.groups contains x", "of a list Falco knows only exists, in, intersects"),
        ("ka.req.role.rules intersects (x)", "only exists can be asked of it here"),
        ("ka.uri bcontains 0a", "this operator has no equivalent"),
        ("ka.uri glob [ab]*", "ask with regex"),
        ("ka.uri = oneof (a, b)", "oneof has no equivalent"),
        ("basename(ka.uri) = x", "this function has no equivalent"),
        ("tolower(ka.user.name) = Ann", "can never hold"),
        ("ka.response.code > many", "'many' is no number"),
        ("ka.uri = tolower(ka.user.name)", "comparison of two fields"),
        ("jevt.value[/a.b/c] exists", "cannot be part of a path"),
        ("jevt.value[/nothing] exists", "unknown field 'nothing'"),
        ("jevt.value[/annotations/a/b] exists", "cannot be part of a path"),
        ("ka.verb[0] = get", "no such argument"),
        ("jevt.rawtime > 5", "nothing to ask"),
        ('ka.uri regex "(?=x)y"', "regular expression"),
        ("jevt.value[/sourceIPs] contains 10.", "source.ip"),
    ],
)
def test_the_reason_says_what_has_no_equivalent(condition: str, reason: str) -> None:
    with pytest.raises(RuleError) as caught:
        one(condition)
    assert reason in caught.value.message
    assert caught.value.path == "own.yaml"
