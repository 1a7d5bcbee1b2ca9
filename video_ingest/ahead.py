"""Reading ahead: a thread fills a bounded queue while the caller works on what came before.

OpenCV gives the interpreter free while it decodes, so the next frames are decoded while the
detector looks at these. A thread that hangs in a decoder cannot be ended; it is left behind, and
what waited for it goes on.
"""

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")

# How often a waiting thread looks whether it is still wanted.
_LOOK_S = 0.1


class Stalled(Exception):
    """Nothing came for as long as the caller was willing to wait."""


def read_ahead(
    source: Iterator[T], depth: int, patience_s: float, beat: Callable[[], object]
) -> Iterator[T]:
    """Yield what `source` yields, taken in another thread and at most `depth` items ahead.

    Args:
        source: runs in the other thread alone; it is closed there, too.
        depth: items that may wait in memory.
        patience_s: seconds without an item and without a change of `beat()`.
        beat: something that changes while the source makes progress between two items.

    Raises:
        Stalled: patience ran out; the thread is left behind.
        BaseException: whatever the source raised, also when closed, after the items before it.
    """
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    unwanted = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, queue, unwanted), daemon=True)
    thread.start()
    try:
        last_beat, since = beat(), time.monotonic()
        while True:
            try:
                item, end = queue.get(timeout=min(_LOOK_S, patience_s))
            except Empty:
                if beat() != last_beat:
                    last_beat, since = beat(), time.monotonic()
                elif time.monotonic() - since > patience_s:
                    raise Stalled from None
                continue
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            yield item  # type: ignore[misc]
            last_beat, since = beat(), time.monotonic()
    finally:
        unwanted.set()


def _fill(
    source: Iterator[T],
    queue: Queue[tuple[T | None, BaseException | None]],
    unwanted: threading.Event,
) -> None:
    end: BaseException = StopIteration()
    try:
        try:
            for item in source:
                if not _put(queue, (item, None), unwanted):
                    break
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
    except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
        end = error
    _put(queue, (None, end), unwanted)


def _put(
    queue: Queue[tuple[T | None, BaseException | None]],
    item: tuple[T | None, BaseException | None],
    unwanted: threading.Event,
) -> bool:
    """Put an item as soon as there is room; False when nobody wants it any more."""
    while not unwanted.is_set():
        try:
            queue.put(item, timeout=_LOOK_S)
        except Full:
            continue
        return True
    return False
