"""What every kind of target has to do, told by the same small mart."""

from dataclasses import replace
from datetime import date

import pytest

from ksi_pipeline.core.errors import ContractError, TransientError
from ksi_pipeline.core.publishing import Column, Part
from ksi_pipeline.publishers.runner import plan_for

from .kinds import STAND_INS
from .places import COLUMNS, JANUARY, MART, ROWS, Poller, by_month, counted, sale

EVERYTHING = sorted(row for rows in ROWS.values() for row in rows)
RESTATED = {**ROWS, "2026-01": [JANUARY[0], (*JANUARY[1][:4], 2, *JANUARY[1][5:])]}
AFTER_IT = sorted(row for rows in RESTATED.values() for row in rows)
# more than the steps of any run here
ALL_STEPS = range(1, 40)


def test_readers_find_every_row_and_every_value(place, marts):
    place.publish(marts.batches())
    assert place.rows() == EVERYTHING


def test_publishing_twice_does_nothing(place, marts):
    first = place.publish(marts.batches())
    assert counted(first) == {"publish": 2}
    assert counted(place.publish(marts.batches())) == {"skip": 2}
    assert place.rows() == EVERYTHING


def test_a_restated_partition_is_replaced_and_no_other(place, marts):
    place.publish(marts.batches())
    changes = place.publish(marts.batches(RESTATED)).changes
    assert [(str(c.part), c.action) for c in changes] == [
        (f"{MART}/2026-01", "replace"),
        (f"{MART}/2026-02", "skip"),
    ]
    assert place.rows() == AFTER_IT


def test_rows_that_are_no_longer_there_vanish(place, marts):
    place.publish(marts.batches())
    place.publish(marts.batches({**ROWS, "2026-01": JANUARY[:1]}))
    assert place.rows() == sorted([JANUARY[0], *ROWS["2026-02"]])


def test_a_month_that_is_no_longer_there_vanishes(place, marts):
    place.publish(marts.batches())
    assert counted(place.publish(marts.batches({"2026-01": JANUARY}))) == {"skip": 1, "remove": 1}
    assert place.rows() == sorted(JANUARY)
    assert set(place.receipts.known()) == {Part(MART, "2026-01")}


def test_a_mart_without_a_row_gives_way_to_its_first(place, marts):
    place.publish(marts.batches({"none": []}))
    assert place.rows() == []
    assert counted(place.publish(marts.batches({"none": []}))) == {"skip": 1}
    place.publish(marts.batches())
    assert place.rows() == EVERYTHING


def test_columns_without_a_value_arrive_without_one(place, marts):
    more = (Column("valid_to_utc", "timestamp"), Column("ends", "date"))
    bare = [(*row[:1], None, *row[2:4], *[None] * 6) for row in JANUARY]
    wanted = marts.batches({"2026-01": bare}, columns=(*COLUMNS, *more))
    place.publish(wanted)
    assert place.rows() == sorted(row[: len(COLUMNS)] for row in bare)
    assert counted(place.publish(wanted)) == {"skip": 1}


def test_a_decimal_of_38_digits_arrives_with_all_of_them(place, marts):
    """Ten decimals are those of a tenant's part; NUMERIC of BigQuery has nine."""
    wide = tuple(replace(c, type="decimal(38,10)") if c.scale else c for c in COLUMNS)
    # its stand-in reckons with five decimals, and tells no digits of a column
    is_bigquery = place.config.kind == "bigquery"
    least = "0.00001" if is_bigquery else "0.0000000001"
    nets = (f"1234567890123456789012345678{least[1:]}", f"-{least}")
    rows = [sale(date(2026, 1, 31), hour, 1, net) for hour, net in enumerate(nets)]
    wanted = marts.batches({"2026-01": rows}, columns=wide)
    place.publish(wanted)
    assert place.rows() == rows
    if not is_bigquery:
        assert counted(place.publish(wanted)) == {"skip": 1}


def test_a_mart_that_is_one_file_is_replaced_whole(place, marts):
    place.publish(marts.batches({"whole": EVERYTHING}))
    place.publish(marts.batches({"whole": AFTER_IT}))
    assert place.rows() == AFTER_IT


def test_without_receipts_nothing_comes_twice(place, marts):
    place.publish(marts.batches())
    place.receipts.finish({}, list(place.receipts.known()))
    assert counted(place.publish(marts.batches(RESTATED))) == {"replace": 2}
    assert place.rows() == AFTER_IT


@pytest.mark.parametrize("first", [{}, ROWS], ids=["of nothing", "of other rows"])
def test_killed_between_any_two_steps_readers_see_old_or_new_and_the_next_run_ends_it(
    place, marts, first
):
    wanted, after = RESTATED, AFTER_IT
    if not first and place.config.kind in STAND_INS:
        # one partition has every step, and stand-ins take seconds for each
        wanted, after = {"2026-01": JANUARY}, sorted(JANUARY)
    for step in ALL_STEPS:
        place.publish(marts.batches(first), scope=lambda part: part.mart == MART)
        old = by_month(place.rows())
        assert old == by_month([row for rows in first.values() for row in rows])
        steps = place.publish_until(marts.batches(wanted), step)
        seen = by_month(place.rows())
        for month in {*old, *wanted, *seen}:
            now = sorted(wanted.get(month, []))
            assert seen.get(month, []) in (old.get(month, []), now), steps[-1]
        place.publish(marts.batches(wanted))
        assert place.rows() == after, steps[-1]
        if len(steps) < step:
            return
    pytest.fail("a run has more steps than were killed")


def test_a_reader_never_sees_half_a_partition(place, marts):
    place.publish(marts.batches())
    allowed = [by_month(EVERYTHING), by_month(AFTER_IT)]
    with Poller(place) as poller:
        for turn in range(6):
            place.publish(marts.batches(RESTATED if turn % 2 == 0 else ROWS))
    assert poller.wrong == []
    assert len(poller.seen) > 3
    for rows in poller.seen:
        seen = by_month(rows)
        assert set(seen) == set(ROWS)
        assert all(seen[month] in [state[month] for state in allowed] for month in ROWS)


def test_what_was_altered_by_hand_is_found_and_put_right(place, marts):
    place.publish(marts.batches())
    place.alter(f"update {MART} set tickets = 26 where tickets = 25")
    (change,) = [c for c in place.publish(marts.batches()).changes if c.action != "skip"]
    assert (change.action, change.reason) == ("replace", "was altered in the target")
    assert place.rows() == EVERYTHING


def test_a_new_column_that_may_be_null_is_added(place, marts):
    place.publish(marts.batches())
    wider = (*COLUMNS, Column("note", "text"))
    rows = {month: [(*row, "new") for row in given] for month, given in ROWS.items()}
    place.publish(marts.batches(rows, columns=wider))
    assert place.target().columns(MART)[-1].name == "note"
    assert place.rows() == EVERYTHING


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        pytest.param(COLUMNS[:-1], "is_open (boolean) is gone", id="gone"),
        pytest.param(
            tuple(Column(c.name, "double") if c.name == "tickets" else c for c in COLUMNS),
            "tickets is double and was bigint",
            id="other type",
        ),
    ],
)
def test_any_other_change_of_columns_is_refused_and_readers_keep_what_they_have(
    place, marts, columns, named
):
    place.publish(marts.batches())
    with pytest.raises(ContractError) as caught:
        place.publish(marts.batches(columns=columns))
    assert caught.value.code == "E_PUBLISH_SCHEMA"
    assert named in str(caught.value)
    assert place.rows() == EVERYTHING


def test_what_reads_otherwise_than_the_mart_is_not_shown(place, marts, monkeypatch):
    place.publish(marts.batches())
    kind = type(place.target())
    apply = kind.apply

    def as_if_a_row_were_lost(self, load, accept):
        def accept_less(found):
            accept({part: replace(figures, rows=1) for part, figures in found.items()})

        apply(self, load, accept_less)

    monkeypatch.setattr(kind, "apply", as_if_a_row_were_lost)
    with pytest.raises(ContractError) as caught:
        place.publish(marts.batches(RESTATED))
    assert caught.value.code == "E_RECONCILE"
    assert f"{MART}/2026-01" in str(caught.value)
    monkeypatch.undo()
    assert place.rows() == EVERYTHING


def test_a_second_publisher_is_told_that_one_works_there(place, marts, monkeypatch):
    monkeypatch.setattr("ksi_pipeline.publishers.on_disk.WAIT_S", 0.0)
    with place.target().hold(), pytest.raises(TransientError) as caught:
        place.publish(marts.batches())
    assert caught.value.code == "E_TARGET_BUSY"


def test_what_passes_is_tried_again_from_where_it_failed(place, marts, monkeypatch):
    waits, failures = [], [TransientError("gone", code="E_TARGET_UNREACHABLE")]
    kind = type(place.target())
    apply = kind.apply

    def fails_once(self, load, accept):
        if failures:
            raise failures.pop()
        apply(self, load, accept)

    monkeypatch.setattr(kind, "apply", fails_once)
    place.publish(marts.batches(), attempts=2, sleep=waits.append)
    assert waits == [2.0]
    assert place.rows() == EVERYTHING


@pytest.mark.parametrize("step", ["plan", "stage"])
def test_a_snapshot_that_is_removed_meanwhile_is_named_and_readers_keep_what_they_have(
    place, marts, step
):
    place.publish(marts.batches())
    restated = marts.batches(RESTATED)

    def removes(what, _share):
        if what.startswith(step):
            for batch in restated:
                batch.path.unlink(missing_ok=True)

    with pytest.raises(TransientError, match=f"{MART}/2026-01") as caught:
        place.publish(restated, attempts=3, sleep=pytest.fail, told=removes)
    assert caught.value.code == "E_SNAPSHOT_GONE"
    assert place.rows() == EVERYTHING


def test_only_what_is_asked_for_is_published(place, marts):
    place.publish(marts.batches(), scope=lambda part: part.month == "2026-02")
    assert place.rows() == ROWS["2026-02"]


def test_a_dry_run_names_what_it_would_do_and_does_nothing(place, marts):
    target = place.target()
    changes = plan_for(target, marts.batches(), place.receipts, lambda _part: True)
    assert [change.action for change in changes] == ["publish", "publish"]
    assert all(MART in " ".join(target.statements(change)) for change in changes)
    assert place.rows() == []
    assert place.receipts.known() == {}
