"""Which bodies were journaled of late."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from detector.errors import StoreFullError
from detector.store import resends
from detector.store.entry import Appended
from detector.store.resends import WINDOW, Resends
from tests.store.making import NOW


def settled(offset: int) -> Future[Appended]:
    future: Future[Appended] = Future()
    future.set_result(Appended(offset))
    return future


def begin(known: Resends, digest: bytes, offset: int, at: int = NOW) -> None:
    first = settled(offset)
    known.begin(digest, at, first)
    known.settle(digest, first)


def test_an_unknown_body_is_new() -> None:
    assert Resends().find(b"a", NOW) is None


def test_what_is_on_the_disk_is_known_at_the_start() -> None:
    known = Resends([(b"a", 3, NOW), (b"b", 4, NOW)])
    assert known.find(b"b", NOW) == 4
    assert known.oldest() == 3


def test_what_is_being_written_is_known_by_its_future() -> None:
    known, first = Resends(), Future[Appended]()
    known.begin(b"a", NOW, first)
    assert known.find(b"a", NOW) is first
    assert known.oldest() is None
    first.set_result(Appended(7))
    known.settle(b"a", first)
    assert known.find(b"a", NOW) == 7
    assert known.oldest() == 7


def test_what_failed_is_unknown_even_before_that_is_settled() -> None:
    known, first = Resends(), Future[Appended]()
    known.begin(b"a", NOW, first)
    first.set_exception(StoreFullError("full"))
    assert known.find(b"a", NOW) is None
    known.settle(b"a", first)
    assert len(known) == 0


def test_a_later_attempt_is_not_settled_by_an_earlier() -> None:
    known, first, second = Resends(), Future[Appended](), Future[Appended]()
    known.begin(b"a", NOW, first)
    first.set_exception(StoreFullError("full"))
    known.begin(b"a", NOW, second)
    known.settle(b"a", first)
    assert known.find(b"a", NOW) is second


@pytest.mark.parametrize(("later", "found"), [(WINDOW, 1), (WINDOW + 1, None), (-WINDOW, 1), (-WINDOW - 1, None)])
def test_the_window_holds_in_both_directions_of_a_clock(later: int, found: int | None) -> None:
    assert Resends([(b"a", 1, NOW)]).find(b"a", NOW + later) == found


def test_old_ones_are_forgotten() -> None:
    known = Resends([(b"a", 1, NOW), (b"b", 2, NOW + WINDOW)])
    begin(known, b"c", 3, NOW + WINDOW + 1)
    assert len(known) == 2
    assert known.oldest() == 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resends, "MOST", 10)
    known = Resends()
    for number in range(50):
        begin(known, str(number).encode(), number)
    assert len(known) == 10
    assert known.oldest() == 40
