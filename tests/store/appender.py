"""Run by the tests: fills a store from several threads until it is killed, and reports each acknowledged entry."""

from __future__ import annotations

import os
import random
import sys
import threading
from hashlib import sha256
from pathlib import Path

from detector.store.deliveries import Message
from detector.store.directory import Store
from tests.store.making import NOW, alert, append

THREADS = 4


def post(store: Store, chosen: random.Random) -> None:
    """Append bodies of all sizes, and report those that are acknowledged."""
    while True:
        body = chosen.randbytes(chosen.choice((0, 100, 5_000, 100_000)))
        offset = append(store.journal, body, at=NOW, digest=chosen.randbytes(32)).offset
        os.write(1, f"{offset} {sha256(body).hexdigest()}\n".encode())


def emit(store: Store) -> None:
    """Store one alert and one delivery for each entry, in order, and a snapshot now and then."""
    while True:
        offset = store.state.emitted_offset + 1
        if offset <= store.journal.last:
            store.state.emit(offset, [alert(str(offset))], [Message("siem", 0)]).result()
            if offset % 7 == 0:
                store.snapshots.add(offset, bytes(10_000))


def main() -> None:
    """Fill the store named by the first argument; the second is the seed."""
    store = Store(Path(sys.argv[1]))
    for number in range(THREADS):
        chosen = random.Random(f"{sys.argv[2]}/{number}")
        threading.Thread(target=post, args=(store, chosen), daemon=True).start()
    emit(store)


if __name__ == "__main__":
    main()
