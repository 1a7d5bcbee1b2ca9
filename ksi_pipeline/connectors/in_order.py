"""Several questions asked at once, and their answers taken in the order of the questions."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


def answered_in_order(
    ask: Callable[[_Question], _Answer], questions: Sequence[_Question], workers: int
) -> Iterator[tuple[_Question, _Answer]]:
    """Yield each question with its answer.

    At most `workers` questions are asked at once, and at most twice as many are asked ahead of the
    one whose answer is taken, so memory holds no more answers than that, however many there are.
    Whoever stops taking answers stops the asking: what was not begun is not asked. One question
    alone is asked in this thread.

    Args:
        ask: called from several threads; what it raises is raised here, at its question's turn.
        questions: asked in this order.
        workers: at least 1.
    """
    if workers == 1 or len(questions) <= 1:
        for question in questions:
            yield question, ask(question)
        return
    todo: SimpleQueue[tuple[_Question, Future[_Answer]] | None] = SimpleQueue()
    ahead: deque[tuple[_Question, Future[_Answer]]] = deque()
    # Daemons: Ctrl-C does not wait for a slow feed, and an answer nobody takes is never kept.
    for _ in range(min(workers, len(questions))):
        threading.Thread(target=_work, args=(ask, todo), daemon=True).start()
    try:
        for question in questions:
            asked = (question, Future[_Answer]())
            ahead.append(asked)
            todo.put(asked)
            if len(ahead) >= 2 * workers:
                yield _taken(ahead)
        while ahead:
            yield _taken(ahead)
    finally:
        for _question, future in ahead:
            future.cancel()
        for _ in range(workers):
            todo.put(None)


def _taken(
    ahead: deque[tuple[_Question, Future[_Answer]]],
) -> tuple[_Question, _Answer]:
    question, future = ahead.popleft()
    return question, future.result()


def _work(
    ask: Callable[[_Question], _Answer],
    todo: SimpleQueue[tuple[_Question, Future[_Answer]] | None],
) -> None:
    while (asked := todo.get()) is not None:
        question, future = asked
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(ask(question))
        except BaseException as error:  # noqa: BLE001, raised again where the answer is taken
            future.set_exception(error)
