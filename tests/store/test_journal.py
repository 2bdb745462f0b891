"""The journal: on the disk before anybody is told, once, in order, within its limit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import StoreError, StoreFullError
from detector.event import SECOND
from detector.store import journal as journaling
from detector.store.entry import Appended, Kind
from detector.store.journal import Journal
from detector.store.reader import JournalReader
from tests.store.making import NOW, WAIT, append

MINUTE = 60 * SECOND
INCOMPRESSIBLE = bytes(byte for number in range(1_600) for byte in sha256(str(number).encode()).digest())
"""51,200 bytes: three pages and some."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path)) as opened:
        yield opened


class Held:
    """A writer that is kept busy: what is appended waits, uncommitted."""

    def __init__(self, journal: Journal) -> None:
        self.gate, busy = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> bool:
            busy.set()
            return self.gate.wait(WAIT)

        self.done = journal._writer.submit(wait)
        assert busy.wait(WAIT)

    def release(self) -> None:
        self.gate.set()
        self.done.result(WAIT)


def bodies(path: Path) -> dict[int, bytes]:
    """Read the whole journal."""
    with closing(JournalReader(path)) as reader:
        return {entry.offset: entry.body for entry in reader.after(reader.first - 1, 1 << 40)}


def test_offsets_count_from_0(journal: Journal) -> None:
    assert (journal.first, journal.last) == (0, -1)
    assert [append(journal).offset for _ in range(3)] == [0, 1, 2]
    assert (journal.first, journal.last, journal.depth(0)) == (0, 2, 2)


def test_what_was_appended_is_read_back(path: Path, journal: Journal) -> None:
    journal.append(Kind.batch, "prod", b"batch", received_at=NOW, events=400).result(WAIT)
    journal.append(Kind.tick, "", b"", received_at=NOW + 1).result(WAIT)
    journal.append(Kind.control, "", "zwölf\0".encode(), received_at=NOW + 2).result(WAIT)
    with closing(JournalReader(path)) as reader:
        batch, tick, control = reader.after(-1)
    assert (batch.offset, batch.kind, batch.cluster, batch.events) == (0, Kind.batch, "prod", 400)
    assert (batch.received_at, batch.body) == (NOW, b"batch")
    assert (tick.offset, tick.kind, tick.body) == (1, Kind.tick, b"")
    assert (control.offset, control.kind, control.body) == (2, Kind.control, "zwölf\0".encode())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=100_000), max_size=5))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, given_bodies: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    with closing(Journal(path)) as journal:
        for body in given_bodies:
            append(journal, body)
        assert list(bodies(path).values()) == given_bodies


def test_bodies_are_compressed(path: Path, journal: Journal) -> None:
    append(journal, b'{"kind":"Event"}' * 100_000)
    assert path.stat().st_size + path.with_name("journal.db-wal").stat().st_size < 500_000


def test_a_journal_opened_again_goes_on(path: Path) -> None:
    with closing(Journal(path)) as journal:
        append(journal, b"first")
        used = journal.used
    with closing(Journal(path)) as journal:
        assert (journal.first, journal.last, journal.used) == (0, 0, used)
        assert append(journal, b"second").offset == 1
    assert bodies(path) == {0: b"first", 1: b"second"}


def test_files_are_for_the_owner_only(path: Path, journal: Journal) -> None:
    append(journal)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["journal.db", "journal.db-shm", "journal.db-wal"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


# Resends: law 2.


def test_a_resend_is_answered_with_the_first_offset_and_not_written(path: Path, journal: Journal) -> None:
    assert append(journal, b"body", digest=b"d") == Appended(0)
    assert append(journal, b"body", digest=b"d", at=NOW + 29 * MINUTE) == Appended(0, resent=True)
    assert append(journal, b"other", digest=b"e") == Appended(1)
    assert bodies(path) == {0: b"body", 1: b"other"}


def test_a_resend_of_what_is_not_yet_on_the_disk_waits_for_it(path: Path, journal: Journal) -> None:
    held = Held(journal)
    first = journal.append(Kind.batch, "prod", b"body", received_at=NOW, digest=b"d")
    again = journal.append(Kind.batch, "prod", b"body", received_at=NOW, digest=b"d")
    assert not first.done()
    assert not again.done()
    held.release()
    assert first.result(WAIT) == Appended(0)
    assert again.result(WAIT) == Appended(0, resent=True)
    assert len(bodies(path)) == 1


def test_a_client_that_goes_away_takes_nothing_from_the_one_that_sent_again(path: Path, journal: Journal) -> None:
    held = Held(journal)
    first = journal.append(Kind.batch, "prod", b"body", received_at=NOW, digest=b"d")
    again = journal.append(Kind.batch, "prod", b"body", received_at=NOW, digest=b"d")
    assert first.cancel()
    held.release()
    assert again.result(WAIT) == Appended(0, resent=True)
    assert bodies(path) == {0: b"body"}


def test_resends_are_known_after_a_restart(path: Path) -> None:
    with closing(Journal(path)) as journal:
        append(journal, b"body", digest=b"d")
    with closing(Journal(path)) as journal:
        assert append(journal, b"body", digest=b"d") == Appended(0, resent=True)


def test_resends_are_known_after_their_entry_was_pruned(path: Path) -> None:
    with closing(Journal(path, keep=0)) as journal:
        append(journal, b"body", digest=b"d")
        append(journal, at=NOW + SECOND)
        assert journal.prune(0).result(WAIT) == 1
    with closing(Journal(path)) as journal:
        assert append(journal, b"body", digest=b"d") == Appended(0, resent=True)


@pytest.mark.parametrize("later", [31 * MINUTE, -31 * MINUTE])
def test_after_half_an_hour_the_same_bytes_are_new(journal: Journal, later: int) -> None:
    append(journal, digest=b"d")
    assert append(journal, digest=b"d", at=NOW + later) == Appended(1)


def test_what_could_not_be_written_is_no_first_copy(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.limit = 0
        with pytest.raises(StoreFullError):
            append(journal, b"body", digest=b"d")
        journal.limit = 1 << 30
        journal._connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(StoreFullError):
            append(journal, INCOMPRESSIBLE, digest=b"e")
        journal._connection.execute("PRAGMA max_page_count=100000")
        assert append(journal, b"body", digest=b"d") == Appended(0)
        assert append(journal, INCOMPRESSIBLE, digest=b"e") == Appended(1)


def test_digests_that_are_too_old_leave_the_disk(path: Path) -> None:
    with closing(Journal(path)) as journal:
        for minute in range(0, 120, 10):
            append(journal, digest=str(minute).encode(), at=NOW + minute * MINUTE)
        append(journal)
    with closing(sqlite3.connect(path)) as connection:
        kept = [digest for (digest,) in connection.execute("SELECT digest FROM digests")]
    assert kept == [b"80", b"90", b"100", b"110"]


# Room.


def test_a_full_journal_refuses_at_once_and_takes_again_when_there_is_room(path: Path) -> None:
    with closing(Journal(path, limit=1 << 20, keep=0)) as journal:
        while True:
            future = journal.append(Kind.batch, "prod", INCOMPRESSIBLE, received_at=NOW + journal.last)
            if future.done() and future.exception() is not None:
                break
            future.result(WAIT)
        with pytest.raises(StoreFullError, match="is full"):
            future.result()
        assert journal.last > 10
        assert journal.used <= 1 << 20
        assert journal.prune(5).result(WAIT) == 6
        append(journal, INCOMPRESSIBLE)


def test_too_little_room_on_the_disk_refuses(path: Path) -> None:
    with closing(Journal(path, reserve=1 << 60)) as journal:
        with pytest.raises(StoreFullError, match="free on the disk"):
            append(journal)
        journal.reserve = 0
        append(journal)


def test_a_disk_that_does_not_keep_up_refuses(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaling, "MAX_WAITING", 100_000)
    held = Held(journal)
    waiting = [journal.append(Kind.batch, "prod", INCOMPRESSIBLE, received_at=NOW) for _ in range(2)]
    assert [future.done() for future in waiting] == [False, True]
    with pytest.raises(StoreFullError, match="does not keep up"):
        waiting[1].result()
    held.release()
    waiting[0].result(WAIT)
    append(journal, INCOMPRESSIBLE)


def test_a_body_larger_than_what_may_wait_is_taken_alone(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaling, "MAX_WAITING", 1_000)
    append(journal, INCOMPRESSIBLE)


@pytest.mark.parametrize("wrong", [b"not a body", None])
def test_faults_of_the_database_come_through_the_future(journal: Journal, wrong: bytes | None) -> None:
    append(journal)
    if wrong is None:
        journal.close()
    else:
        journal._connection.execute("DROP TABLE entries")
    with pytest.raises(StoreError):
        append(journal)


# Pruning.


def test_nothing_goes_while_there_is_room(journal: Journal) -> None:
    for _ in range(5):
        append(journal)
    assert journal.prune(4).result(WAIT) == 0
    assert journal.first == 0


def test_above_three_quarters_the_oldest_go_and_no_more_than_needed(path: Path) -> None:
    with closing(Journal(path, limit=4 << 20)) as journal:
        while journal.used <= 3 << 20:
            append(journal, INCOMPRESSIBLE)
        last = journal.last
        assert 1 <= journal.prune(last).result(WAIT) <= 3
        assert (3 << 20) - 200_000 < journal.used <= 3 << 20
        assert sorted(bodies(path)) == list(range(journal.first, last + 1))


def test_what_is_still_needed_never_goes(path: Path) -> None:
    with closing(Journal(path, limit=1 << 20, keep=0)) as journal:
        for number in range(12):
            append(journal, INCOMPRESSIBLE, at=NOW + number)
        journal.limit = 0
        assert journal.prune(3).result(WAIT) == 4
        assert journal.prune(3).result(WAIT) == 0
        assert sorted(bodies(path)) == list(range(4, 12))


def test_the_newest_stays_so_that_no_offset_is_used_twice(path: Path) -> None:
    with closing(Journal(path, keep=0)) as journal:
        for number in range(3):
            append(journal, at=NOW + number)
        journal.limit = 0
        assert journal.prune(1_000).result(WAIT) == 2
        assert (journal.first, journal.last) == (2, 2)
    with closing(Journal(path)) as journal:
        assert append(journal).offset == 3


def test_what_is_older_than_asked_goes(path: Path) -> None:
    with closing(Journal(path, keep=100 * MINUTE)) as journal:
        for minute in range(0, 200, 10):
            append(journal, at=NOW + minute * MINUTE)
        assert journal.prune(journal.last).result(WAIT) == 9
        assert journal.first == 9


def test_many_go_in_several_transactions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaling, "PRUNED_AT_ONCE", 10)
    with closing(Journal(path, keep=0)) as journal:
        futures = [journal.append(Kind.tick, "", b"", received_at=NOW + number) for number in range(45)]
        for future in futures:
            future.result(WAIT)
        statements: list[str] = []
        journal._connection.set_trace_callback(statements.append)
        assert journal.prune(journal.last).result(WAIT) == 44
        assert sum(statement.startswith("DELETE FROM entries") for statement in statements) == 5


def test_a_file_of_which_most_is_free_shrinks(path: Path) -> None:
    with closing(Journal(path, limit=8 << 20, keep=0)) as journal:
        for number in range(100):
            append(journal, INCOMPRESSIBLE, at=NOW + number)
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.stat().st_size
        for _ in range(10):
            journal.prune(98).result(WAIT)
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < before / 5


def test_pruning_a_closed_journal_says_so(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    with pytest.raises(StoreError, match="closed"):
        journal.prune(0).result(WAIT)


# Many at once.


def test_many_threads_get_offsets_without_gaps(path: Path, journal: Journal) -> None:
    offsets: list[tuple[int, bytes]] = []

    def post(thread: int) -> None:
        for number in range(40):
            body = f"{thread}/{number}".encode()
            offsets.append((append(journal, body).offset, body))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(offset for offset, _ in offsets) == list(range(320))
    assert bodies(path) == dict(offsets)


def test_received_after(journal: Journal) -> None:
    append(journal, at=NOW)
    append(journal, at=NOW + 7)
    assert [journal.received_after(offset) for offset in (-1, 0, 1)] == [NOW, NOW + 7, None]


def test_futures_of_one_s_own_can_be_cancelled(journal: Journal) -> None:
    held = Held(journal)
    future: Future[Appended] = journal.append(Kind.batch, "prod", b"body", received_at=NOW)
    assert future.cancel()
    held.release()
    assert append(journal).offset == 1


def test_it_is_pressed_before_it_is_full_and_no_more_once_it_is_pruned(path: Path) -> None:
    with closing(Journal(path, 4 << 20)) as journal:
        while not journal.pressed:
            append(journal, INCOMPRESSIBLE)
        assert journal.last > 10
        assert not journal.trouble()
        journal.prune(journal.last).result(WAIT)
        assert journal.pressed is False


def test_what_is_passed_over_keeps_its_place_and_its_body(path: Path, journal: Journal) -> None:
    for body in (b"a", b"", b"c"):
        append(journal, body)
    assert journal.pass_over(1).result(WAIT).kind == "batch"
    with closing(JournalReader(path)) as reader:
        assert [(entry.kind, entry.body) for entry in reader.after(-1)] == [
            ("batch", b"a"),
            ("passed over", b""),
            ("batch", b"c"),
        ]
    with pytest.raises(StoreError, match="has no entry 3"):
        journal.pass_over(3).result(WAIT)
