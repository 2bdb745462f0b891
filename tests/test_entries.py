"""What stands in the journal: what comes back is what went in."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.alerts.suppress import Lift, Suppression
from detector.entries import JournalSource, batch_body, control_body, record_of
from detector.errors import StoreError
from detector.finding import DISMISSED, Verdict
from detector.fold import Fold
from detector.formats import Batch
from detector.record import Control, Rules, Tick
from detector.store.directory import Store
from detector.store.entry import Entry, Kind
from tests.support import event, rule, rule_file, secret, time_at

CONTROLS: list[Control] = [
    Rules((rule_file(rule("one")),), ("core",)),
    Suppression(id="s", owner="kim", reason="x", until=5, actor="jane*"),
    Lift("s", "kim", "over"),
    Verdict("a" * 32, DISMISSED, "kim", "known", 7),
]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: type(control).__name__)
def test_controls_come_back(control: Control) -> None:
    assert record_of(Entry(3, Kind.control, "", 9, 0, control_body(control))).body == control


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
