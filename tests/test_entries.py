"""What stands in the journal: what comes back is what went in."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from detector.alerts.suppress import Lift, Suppression
from detector.entries import JournalSource, batch_body, control_body, decode_body, record_of
from detector.errors import StoreError
from detector.finding import DISMISSED, Verdict
from detector.fold import Fold
from detector.formats import Batch, decode_batch
from detector.record import Control, Rules, Tick
from detector.store.directory import Store
from detector.store.entry import Entry, Kind
from tests.support import event, raw, rule, rule_file, secret, time_at

CONTROLS: list[Control] = [
    Rules((rule_file(rule("one")),), ("core",)),
    Suppression(id="s", owner="kim", reason="x", until=5, actor="jane*"),
    Lift("s", "kim", "over"),
    Verdict("a" * 32, DISMISSED, "kim", "known", 7),
]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: type(control).__name__)
def test_controls_come_back(control: Control) -> None:
    assert record_of(Entry(3, Kind.control, "", 9, 0, control_body(control))).body == control


HEADS = (
    b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b]}\n',
    b' {"items":[%b],"apiVersion":"audit.k8s.io/v1beta1","kind":"EventList"}',
    b'\xef\xbb\xbf{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%b]}',
    b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"verb":"x"}],"items":[%b]}',
    b'{"kind":"List","apiVersion":"v1","items":[%b]}',
    b'{"kind":"EventList","apiVersion":"apps/v1","items":[%b]}',
    b'{"kind":"Mixture","apiVersion":"audit.k8s.io/v1","items":[%b]}',
    b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%b]} x',
    b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%b',
    b"[%b]",
)
ITEMS = (
    raw(1),
    raw(2, requestObject={"a": "ü"}, responseStatus={"code": 200}),
    b'{"verb":"get","auditID":"a","requestObject":{"a": "as it was written"}}',
    b'{"kind":"Pod"}',
    b"null",
    b'{"verb":"get","auditID":7}',
    b'{"verb":"get","auditID":"a","requestObject":{"a":"\xff"}}',
    rb'{"verb":"get","auditID":"a","userAgent":"\ud800"}',
    b'{"verb":"get","auditID":"a","responseStatus":{"code":1e99}}',
    b'{"verb":"get","auditID":"a","responseStatus":{"code":4294967296}}',
    b'{"verb":"get","auditID":"a","requestObject":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    HEADS[0] % raw(3),
)


def decoded(batch: Batch) -> object:
    events = [(one.as_dict(), bytes(one.requestObject)) for one in batch.events]
    return events, batch.rejected, batch.skipped


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_a_body_decodes_in_one_pass_to_what_it_does_item_by_item(head: bytes) -> None:
    for items in ((), *product(ITEMS), *product(ITEMS, ITEMS)):
        body = head % b",".join(items)
        assert decoded(decode_body(body)) == decoded(decode_batch(body))


def test_events_come_back() -> None:
    events = [event(1), secret(2, requestObject={"a": [1, "ü"]}), event(3, user={})]
    record = record_of(Entry(3, Kind.batch, "prod", 9, 3, batch_body(events)))
    assert isinstance(record.body, Batch)
    assert [one.as_dict() for one in record.body.events] == [one.as_dict() for one in events]
    assert (record.offset, record.received_at, record.cluster) == (3, 9, "prod")


def test_a_tick_counts_when_it_was_received() -> None:
    assert record_of(Entry(3, Kind.tick, "", 9, 0, b"")).body == Tick(9)


def test_a_control_of_another_version_costs_only_itself() -> None:
    body = record_of(Entry(3, Kind.control, "", 9, 0, b'{"type":"of tomorrow"}')).body
    assert isinstance(body, Batch)
    assert [one.reason for one in body.rejected] == ["a control of an unknown version"]


def filled(folder: Path, keep: int = 10**15) -> Store:
    store = Store(folder, journal_keep=keep)
    appended = [store.journal.append(Kind.control, "", control_body(CONTROLS[0]), received_at=time_at(0))]
    for number in range(9):
        body = batch_body([secret(number, at=number)])
        appended.append(store.journal.append(Kind.batch, "prod", body, received_at=time_at(number), events=1))
    for one in appended:
        one.result(30)
    return store


def folded(source: JournalSource) -> Fold:
    for record in source:
        source.fold.fold(record)
    return source.fold


def test_a_journal_is_read_from_its_beginning(tmp_path: Path) -> None:
    with filled(tmp_path):
        fold = folded(JournalSource(tmp_path))
    assert (fold.offset, fold.stats().events) == (9, 9)


def test_a_pruned_journal_is_read_from_the_oldest_snapshot_and_says_so(tmp_path: Path) -> None:
    with filled(tmp_path, keep=0) as store:
        whole = JournalSource(tmp_path)
        for record in whole:
            whole.fold.fold(record)
            if record.offset == 4:
                store.snapshots.add(4, whole.fold.snapshot())
        assert store.journal.prune(4).result(30) == 5
        source = JournalSource(tmp_path)
        assert "from the snapshot of offset 4" in source.problems[0]
        assert folded(source).snapshot() == whole.fold.snapshot()
        for path in store.snapshots.directory.iterdir():
            path.unlink()
        with pytest.raises(StoreError, match="no snapshot"):
            JournalSource(tmp_path)
