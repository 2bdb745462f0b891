"""A state that an older redshank wrote is taken over: ``state-version-1.db.zst`` is a database the first version made.

In it, `a` has three revisions, the last closed, and `b` and `c` have one. ``siem`` was to hear of those of `a` and `b`,
``chat`` of two of `a` and of `b`, and ``gone`` of `c`. ``chat`` took the first of `a`, and ``siem`` refused it; `b` was
put off for ``siem`` for a minute after one try, and refused by ``chat``. Two buried deliveries had gone for good.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from detector.errors import StoreError
from detector.store.checks import check
from detector.store.deliveries import Message, Terms
from detector.store.journal import Journal
from detector.store.migrate import open_for_reading
from detector.store.state import State
from detector.store.tables import STATE
from tests.store.making import NOW, WAIT, Clock, alert, append

OLD = Path(__file__).with_name("state-version-1.db.zst")
MINUTE = 60_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The state of version 1."""
    made = tmp_path / "state.db"
    made.write_bytes(zstandard.ZstdDecompressor().decompress(OLD.read_bytes()))
    return made


def value(path: Path, query: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(query).fetchone()[0])


def test_the_file_is_of_the_first_version(path: Path) -> None:
    assert value(path, "PRAGMA user_version") == 1
    with pytest.raises(StoreError, match="start redshank once"):
        open_for_reading(path, STATE)


def test_alerts_and_what_was_said_of_them_are_taken_over(path: Path) -> None:
    with closing(State(path, clock=Clock())) as state:
        assert [(one.alert.id, one.alert.revision) for one in state.alerts()] == [("c", 1), ("b", 1), ("a", 3)]
        newest, other = state.alert("a"), state.alert("b")
        assert newest is not None
        assert other is not None
        assert newest.alert == alert("a", 3, count=3, status="closed")
        assert (other.verdict, other.who, other.why) == ("dismissed", "ann", "a drill")
        assert state.emitted_offset == 2
        assert [one.id for one in state.suppressions()] == ["s1"]
        assert state.meta("rules") == "digest"
        assert [letter.sha256 for letter in state.dead_letters("body")] == ["ab"]


def test_what_waits_and_what_is_buried_is_taken_over(path: Path) -> None:
    with closing(State(path, clock=Clock())) as state:
        due = {sink: [row.alert for row in state.due(sink, NOW, 9)] for sink in ("siem", "chat", "gone")}
        assert due == {
            "siem": [alert("a", 2, count=2), alert("a", 3, count=3, status="closed")],
            "chat": [alert("a", 2, count=2)],
            "gone": [alert("c")],
        }
        (late,) = [row for row in state.due("siem", NOW + MINUTE, 9) if row.alert.id == "b"]
        assert (late.alert, late.tries) == (alert("b"), 1)
        assert {(one.sink, one.alert, one.reason) for one in state.dead_letters("delivery")} == {
            ("siem", "a", "refused"),
            ("chat", "b", "refused"),
        }
        assert state.redeliver().result(WAIT) == 2
        assert state.due("siem", NOW + MINUTE, 1)[0].alert == alert("a", 1, count=1)


def test_what_is_taken_over_is_counted(path: Path) -> None:
    with closing(State(path, clock=Clock())) as state:
        depth = state.outbox_depth()
    assert {sink: (one.waiting, one.buried) for sink, one in depth.items()} == {
        "": (0, 0),
        "siem": (3, 1),
        "chat": (1, 1),
        "gone": (1, 0),
    }
    assert depth[""].lost == 2
    assert depth["siem"].oldest == NOW


def test_each_revision_is_kept_once(path: Path) -> None:
    with closing(State(path, clock=Clock())) as state:
        state.meta("x")
    assert value(path, "SELECT count(*) FROM alert_bodies") == 5
    assert value(path, "SELECT count(*) FROM outbox") == 7


def test_a_state_that_was_taken_over_goes_on(path: Path) -> None:
    with closing(State(path, clock=Clock())) as state:
        before = max(row.id for row in state.due("siem", NOW + MINUTE, 9))
        messages = [Message("siem", 0, Terms(replaces=True)), Message("new", 0)]
        assert state.emit(3, [alert("a", 4)], messages).result(WAIT)
        assert [row.alert.revision for row in state.due("siem", NOW, 9)] == [4]
        assert state.due("siem", NOW, 9)[0].id > before
        for sink in ("siem", "chat", "gone", "new"):
            state.delivered([row.id for row in state.due(sink, NOW + MINUTE, 9)]).result(WAIT)
    assert value(path, "SELECT count(*) FROM alert_bodies") == 4, "of three alerts, and the first of one that is buried"


def test_a_state_that_was_taken_over_is_found_sound_and_the_copy_is_what_it_was(path: Path) -> None:
    with closing(Journal(path.with_name("journal.db"))) as journal:
        for _ in range(3):
            append(journal)
    State(path, clock=Clock()).close()
    assert check(path.parent).problems == []
    kept = path.with_name("state.db.version-1")
    assert value(kept, "PRAGMA user_version") == 1
    assert value(kept, "SELECT count(DISTINCT body) FROM outbox") == 5


def test_a_state_that_is_not_yet_taken_over_can_be_checked(path: Path) -> None:
    Journal(path.with_name("journal.db")).close()
    report = check(path.parent)
    assert report.problems == []
    assert report.parts[1].version == 1
