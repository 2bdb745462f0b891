"""Intake: what an API server hears of a body, and what is kept of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.entries import record_of
from detector.event import Event
from detector.formats import Batch, decode_batch
from detector.intake import AGAIN, SMALL, Intake, body_digest
from detector.redaction import BLANK, Redaction, blank
from detector.sinks.base import SystemClock
from detector.sources.webhook import Answer, Refusal
from detector.store.directory import Layout, Store
from detector.store.entry import Appended, Entry
from detector.store.reader import JournalReader
from tests.daemon import ATTACK, bodies, recorded
from tests.support import raw

PATIENCE = 30.0
PLANTED = "hunter2-planted"
JWT = f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.{PLANTED}"
ACCEPTED, RESENT = Answer(200, "accepted"), Answer(200, "resent")


class Taking:
    """An intake on a store of its own, and what it told of what is journaled."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder)
        self.told: list[tuple[str, int, Appended]] = []
        self.intake = Intake(self.store.journal, self.store.state, SystemClock(), self._journaled)

    def _journaled(self, cluster: str, batch: Batch, size: int, appended: Appended) -> None:
        self.told.append((cluster, size, appended))

    def post(self, body: bytes, cluster: str = "prod") -> Answer:
        """Give the answer to one body."""
        return asyncio.run(self.intake.accept(cluster, body, "192.0.2.1"))

    def entries(self, after: int = -1) -> list[Entry]:
        """Give what is in the journal."""
        reader = JournalReader(Layout(self.folder).journal)
        try:
            return reader.after(after, 1 << 40)
        finally:
            reader.close()

    def letters(self) -> list[tuple[str, str, int]]:
        """Give kind, cluster and count of the dead letters, once they are written."""
        self.store.state.set_meta("written", "").result(PATIENCE)
        return sorted((one.kind, one.cluster, one.count) for one in self.store.state.dead_letters())

    def close(self) -> None:
        self.intake.close()
        self.store.close()


@contextmanager
def taking(folder: Path) -> Iterator[Taking]:
    one = Taking(folder)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def one(data: Path) -> Iterator[Taking]:
    with taking(data) as taken:
        yield taken


@contextmanager
def held(one: Taking) -> Iterator[None]:
    """Keep the journal's writer busy: what is appended waits, uncommitted."""
    gate, busy = threading.Event(), threading.Event()

    def wait(_: object) -> bool:
        busy.set()
        return gate.wait(PATIENCE)

    one.store.journal._writer.submit(wait)
    assert busy.wait(PATIENCE)
    try:
        yield
    finally:
        gate.set()


def event_list(*items: bytes) -> bytes:
    return b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b]}\n' % b",".join(items)


GOOD = event_list(raw(1), raw(2))
BAD_ITEM = b'{"kind":"Pod"}'


# Answers: law 1.


def test_a_body_is_answered_once_it_is_in_the_journal(one: Taking) -> None:
    assert one.post(GOOD) == ACCEPTED
    (entry,) = one.entries()
    assert (entry.kind, entry.cluster, entry.events) == ("batch", "prod", 2)
    assert one.told == [("prod", len(GOOD), Appended(0))]


def test_what_is_no_json_is_refused_and_kept_as_a_digest_counted(one: Taking) -> None:
    assert [one.post(b"not json " + PLANTED.encode()).status for _ in range(2)] == [400, 400]
    assert one.entries() == []
    assert one.letters() == [("body", "prod", 2)]
    (letter,) = one.store.state.dead_letters()
    assert (letter.peer, letter.body, PLANTED in letter.reason) == ("192.0.2.1", None, False)


def test_a_bad_item_costs_no_neighbour(one: Taking) -> None:
    assert one.post(event_list(raw(1), BAD_ITEM, raw(2))) == ACCEPTED
    assert one.entries()[0].events == 2
    assert one.letters() == [("item", "prod", 1)]


@pytest.mark.parametrize(("items", "letters"), [((), []), ((BAD_ITEM,), [("item", "prod", 1)])])
def test_a_list_without_events_is_taken_and_not_journaled(one: Taking, items: Any, letters: Any) -> None:
    assert one.post(event_list(*items)) == Answer(200, "no audit events")
    assert one.entries() == []
    assert one.letters() == letters


def test_a_full_journal_asks_to_come_again_and_then_takes_the_body_as_new(one: Taking) -> None:
    limit, one.store.journal.limit = one.store.journal.limit, 0
    answer = one.post(GOOD)
    assert (answer.status, answer.retry_after) == (429, AGAIN)
    assert one.told == []
    one.store.journal.limit = limit
    assert one.post(GOOD) == ACCEPTED


def test_a_journal_with_a_fault_asks_to_come_again(one: Taking) -> None:
    one.store.journal.close()
    answer = one.post(GOOD)
    assert (answer.status, answer.retry_after) == (503, AGAIN)
    assert one.told == []


def test_a_body_that_was_refused_before_it_was_read_is_kept_as_a_digest(one: Taking) -> None:
    one.intake.refused(Refusal("prod", "192.0.2.1", 413, "too large", bytes(32), 9))
    assert one.letters() == [("body", "prod", 1)]
    (letter,) = one.store.state.dead_letters()
    assert (letter.reason, letter.length, letter.sha256) == ("too large", 9, "0" * 64)


# Resends: law 2.


def test_a_resend_is_answered_and_journaled_once_and_its_bad_items_counted_once(one: Taking) -> None:
    body = event_list(raw(1), BAD_ITEM)
    assert [one.post(body) for _ in range(3)] == [ACCEPTED, RESENT, RESENT]
    assert len(one.entries()) == 1
    assert one.letters() == [("item", "prod", 1)]
    assert [appended.resent for _, _, appended in one.told] == [False, True, True]


def test_the_same_bytes_of_another_cluster_are_other_events(one: Taking) -> None:
    assert [one.post(GOOD, "prod"), one.post(GOOD, "test")] == [ACCEPTED, ACCEPTED]
    assert [entry.cluster for entry in one.entries()] == ["prod", "test"]


def test_where_the_name_ends_and_the_body_begins_is_part_of_the_digest() -> None:
    assert body_digest("a", b"bc") != body_digest("ab", b"c")


@pytest.mark.parametrize("size", [1, SMALL])
def test_a_resend_waits_until_the_first_copy_is_on_the_disk(one: Taking, size: int) -> None:
    body = event_list(raw(1, userAgent="x" * size), raw(2))

    async def scenario() -> list[Answer]:
        with held(one):
            copies = [asyncio.create_task(one.intake.accept("prod", body, "")) for _ in range(2)]
            # Whatever both can do, they have done once a third body waits for the disk.
            third = asyncio.create_task(one.intake.accept("prod", body + b"\n", ""))
            while one.store.journal._waiting < 1.5 * len(body):
                await asyncio.sleep(0)
            assert not any(task.done() for task in (*copies, third))
            assert one.store.journal.last == -1
        return await asyncio.gather(*copies)

    assert asyncio.run(scenario()) == [ACCEPTED, RESENT]
    assert [entry.events for entry in one.entries()] == [2, 2]


def test_a_resend_is_known_after_a_restart(data: Path) -> None:
    with taking(data) as one:
        assert one.post(GOOD) == ACCEPTED
    with taking(data) as one:
        assert one.post(GOOD) == RESENT
        assert len(one.entries()) == 1


# What is journaled: the same events, and no secrets (law 5).


def same(events: list[Event], others: list[Event]) -> bool:
    shown, expected = ([(e.fingerprint, e.as_dict()) for e in several] for several in (events, others))
    return shown == expected


def kept(one: Taking, body: bytes) -> tuple[list[Event], bytes]:
    """Post a body; give its events as the fold will see them, and the bytes they are read from."""
    last = one.store.journal.last
    assert one.post(body) == ACCEPTED
    (entry,) = one.entries(last)
    batch = record_of(entry).body
    assert isinstance(batch, Batch)
    assert not batch.rejected
    return batch.events, entry.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECRET = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": PLANTED}}
REVIEW = {"kind": "TokenReview", "spec": {"token": PLANTED}}
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "userAgent": st.text(max_size=8) | st.just(f"curl token={PLANTED}"),
        "requestURI": st.sampled_from(["/api", f"/api?token={PLANTED}", f"/proxy/{JWT}", "/ü?limit=5"]),
        "annotations": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "requestObject": JSON,
        "responseObject": JSON,
        "unknown": st.sampled_from([JWT, {"token": PLANTED}, 1]),
        "user": st.sampled_from([{"username": "jane", "token": PLANTED}, "jane", {"groups": "one"}]),
        "responseStatus": st.sampled_from([{"metadata": {}, "code": 200}, {"code": "403"}, 404]),
    },
)
CARRIED = st.sampled_from(
    [
        {"objectRef": {"resource": "secrets"}, "requestObject": SECRET},
        {"objectRef": {"resource": "secrets"}, "responseObject": {"kind": "SecretList", "items": [SECRET]}},
        {"objectRef": {"resource": "tokenreviews"}, "requestObject": REVIEW},
        {"objectRef": {"resource": "pods"}, "responseObject": {"kind": "List", "items": [SECRET]}},
        {"requestObject": SECRET},
        {"objectRef": {"resource": "pods"}},
    ]
)
EVENTS = st.builds(
    lambda number, parts, carried: raw(number, **{**parts, **carried}), st.integers(0, 99), PARTS, CARRIED
)
ODD = st.sampled_from(
    [BAD_ITEM, b"7", b'{"verb":"get","auditID":"\xff"}', rb'{"verb":"get","auditID":"a\ud800"}', event_list(raw(5))]
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taking]:
    with taking(tmp_path_factory.mktemp("intake") / "data") as taken:
        yield taken


@given(items=st.lists(EVENTS | EVENTS | EVENTS | ODD, max_size=6))
def test_what_is_journaled_decodes_to_the_same_events_with_their_secrets_blanked(
    shared: Taking, items: list[bytes]
) -> None:
    body = event_list(raw(0, auditID=f"after {shared.store.journal.last}"), *items)  # no resend of an example before
    events, journaled = kept(shared, body)
    assert same(events, [blank(event) for event in decode_batch(body).events])
    assert PLANTED.encode() not in journaled


@pytest.mark.parametrize("size", [1, SMALL])
def test_what_is_blanked_is_what_the_settings_say_now(data: Path, size: int) -> None:
    paths = ["userAgent"]
    with closing(Store(data)) as store:
        intake = Intake(store.journal, store.state, SystemClock(), lambda *_: None, lambda: Redaction(paths))
        for name in ("one", "two"):
            body = event_list(raw(1, userAgent=PLANTED, auditID=name, verb="x" * size))
            assert asyncio.run(intake.accept("prod", body, "")) == ACCEPTED
            paths.clear()
        intake.close()
        reader = JournalReader(Layout(data).journal)
        first, second = reader.after(-1, 1 << 40)
        reader.close()
    assert (PLANTED.encode() in first.body, BLANK.encode() in first.body) == (False, True)
    assert PLANTED.encode() in second.body


@pytest.mark.skipif(not ATTACK.exists(), reason="no sample logs here")
def test_the_sample_is_journaled_as_it_is_replayed_without_a_token_review_s_token(shared: Taking) -> None:
    tokens = set()
    for body in bodies(recorded(), 400):
        expected = decode_batch(body).events
        reviews = [event for event in expected if event.objectRef and event.objectRef.resource == "tokenreviews"]
        tokens |= {orjson.dumps(one.request["spec"]["token"]) for one in reviews if isinstance(one.request, dict)}
        events, journaled = kept(shared, body)
        assert same(events, [blank(event) for event in decode_batch(body).events])
        assert not any(token in journaled for token in tokens)
    assert tokens
