"""Several questions at once, answers in order, no more held than promised."""

import threading
import time

import pytest

from ksi_pipeline.connectors.in_order import answered_in_order


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_answers_come_in_the_order_of_the_questions_however_long_each_takes(workers):
    def ask(question):
        time.sleep(0.01 * (question % 3))
        return question * 10

    questions = list(range(20))
    assert list(answered_in_order(ask, questions, workers)) == [(q, q * 10) for q in questions]


def test_no_more_are_asked_at_once_than_there_are_workers():
    running, most, lock = [0], [0], threading.Lock()

    def ask(question):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    list(answered_in_order(ask, range(20), 4))
    assert most == [4]


def test_a_slow_reader_holds_back_the_asking():
    asked = []
    answers = answered_in_order(asked.append, range(100), 3)
    next(answers)
    time.sleep(0.1)
    assert len(asked) <= 6
    answers.close()


def test_whoever_stops_reading_stops_the_asking():
    asked, closed = [], threading.Event()

    def ask(question):
        asked.append(question)
        assert question == 0 or closed.wait(10)

    # after the first answer two are being asked, and the fourth waits for its turn
    answers = answered_in_order(ask, range(100), 2)
    next(answers)
    while len(asked) < 3:
        time.sleep(0.001)
    answers.close()
    closed.set()
    time.sleep(0.1)
    assert sorted(asked) == [0, 1, 2]


def test_what_a_question_raises_is_raised_at_its_turn():
    def ask(question):
        if question == 2:
            raise ValueError("two")
        return question

    answers = answered_in_order(ask, range(9), 4)
    assert [next(answers)[0], next(answers)[0]] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(answers)
