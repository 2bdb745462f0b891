"""Converted rules against Falco's own meaning (`meaning.py`), on conditions and events that hypothesis makes."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.formats import decode_event
from detector.sigma.engine import Compiled, SigmaDetector
from detector.sigma.falco.reader import read
from detector.sigma.falco.resolve import resolve
from detector.sigma.falco.tree import Const
from detector.sigma.load import assemble, load_all
from detector.sigma.source import RuleFile
from tests.falco import meaning
from tests.falco.converting import COMPLETE, converted

NAMES = [
    "ann",
    "Ann",
    "eve",
    "",
    "a*",
    "a b",
    "200",
    "true",
    "get",
    "pods",
    "/etc",
    "/etc/x",
    "web",
    "web:1",
    "db@sha",
    "*",
]
words = st.sampled_from(NAMES)
OPERATORS = ["=", "!=", "in", "exists", "startswith", "endswith", "contains", "icontains", "glob", "pmatch"]
ONE = ["ka.user.name", "ka.verb", "ka.target.name", "ka.target.resource", "ka.target.subresource", "ka.response.code",
       "ka.req.pod.host_pid", "jevt.value[/requestObject/spec/hostPID]", "jevt.value[/objectRef/name]", "ka.uri",
       "jevt.value[/annotations/a.b~1c]"]  # fmt: skip
MANY = ["ka.user.groups", "ka.req.pod.containers.image", "ka.req.pod.containers.image.repository",
        "ka.req.pod.containers.privileged", "ka.req.pod.volumes.hostpath", "ka.req.role.rules.verbs"]  # fmt: skip


def _quoted(word: str) -> str:
    return orjson.dumps(word).decode()


@st.composite
def checks(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(ONE + MANY))
    if field in MANY:
        operator = draw(st.sampled_from(["in", "intersects", "exists"]))
    else:
        operator = draw(
            st.sampled_from(
                ["=", "!=", "in", "exists", "startswith", "endswith", "contains", "icontains", "glob", "pmatch"]
            )
        )
    if operator == "exists":
        return f"{field} exists"
    if operator in {"in", "intersects", "pmatch"}:
        # In pmatch * is a wildcard here, as in newer versions of Falco.
        listed = words.filter(lambda word: operator != "pmatch" or "*" not in word)
        return f"{field} {operator} ({', '.join(map(_quoted, draw(st.lists(listed, max_size=3))))})"
    return f"{field} {operator} {_quoted(draw(words))}"


conditions = st.recursive(
    checks(),
    lambda inner: (
        st.tuples(inner, inner).map(" and ".join).map("({})".format)
        | st.tuples(inner, inner).map(" or ".join).map("({})".format)
        | inner.map("not ({})".format)
    ),
    max_leaves=6,
)
privileged = st.fixed_dictionaries({"privileged": st.booleans()})
host_path = st.fixed_dictionaries({"hostPath": st.fixed_dictionaries({"path": words})})
containers = st.lists(
    st.fixed_dictionaries(
        {}, optional={"image": words, "securityContext": st.fixed_dictionaries({"privileged": st.booleans()})}
    ),
    min_size=1,
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": containers,
                "hostPID": st.booleans(),
                "volumes": st.lists(
                    st.fixed_dictionaries({"hostPath": st.fixed_dictionaries({"path": words})}), max_size=2
                ),
            },
        ),
        "rules": st.lists(st.fixed_dictionaries({"verbs": st.lists(words, min_size=1, max_size=2)}), max_size=2),
    },
)
events = st.fixed_dictionaries(
    {
        "auditID": st.just("1"),
        "stage": st.just("ResponseComplete"),
        "level": st.just("RequestResponse"),
        "requestURI": words,
        "verb": st.sampled_from(["get", "create"]),
        "user": st.fixed_dictionaries({"username": words, "groups": st.lists(words, min_size=1, max_size=3)}),
    },
    optional={
        "objectRef": st.fixed_dictionaries({"resource": st.sampled_from(["pods", "get"])}, optional={"name": words}),
        "responseStatus": st.fixed_dictionaries({"code": st.sampled_from([200, 403])}),
        "requestObject": bodies,
        "annotations": st.dictionaries(st.sampled_from(["a.b/c", "x"]), words, max_size=2),
    },
)


def _whole(event: dict[str, Any]) -> bool:
    """Leave out what the k8saudit plugin cannot extract although parts of it are there, and what is no value here."""
    texts = [event["requestURI"], event["user"]["username"], (event.get("objectRef") or {}).get("name", "x")]
    pods = ((event.get("requestObject") or {}).get("spec") or {}).get("containers") or []
    return all(texts) and all("image" in each for each in pods)


@settings(max_examples=150, deadline=None)
@given(conditions, st.lists(events.filter(_whole), min_size=1, max_size=6))
def test_a_converted_rule_means_what_it_means_in_falco(condition: str, seen: list[dict[str, Any]]) -> None:
    item = {**COMPLETE, "rule": "r", "condition": condition}
    rules = read([RuleFile("r.yaml", orjson.dumps([item]).decode())])
    tree = resolve(rules, rules.rules["r"])
    conversion = converted(item)
    if isinstance(tree, Const) or "no repository" in str(conversion.refused):
        assert not conversion.converted
        return
    (made,) = conversion.converted
    loaded, errors = load_all([RuleFile("made.yml", made.text)])
    assert not errors
    compiled = Compiled(assemble(loaded, ["extended"]))
    for each in seen:
        event = decode_event(orjson.dumps({"kind": "Event", "apiVersion": "audit.k8s.io/v1", **each}))
        assert bool(SigmaDetector(compiled).check(event, 0)) is meaning.holds(tree, each)
