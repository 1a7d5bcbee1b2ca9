"""The plan says what a target lacks, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.publishing import (
    Batch,
    Column,
    Figures,
    Part,
    Receipt,
    added_columns,
    require_equal,
)
from ksi_pipeline.publishers.plan import make_plan

COLUMNS = (Column("unit_key", "text"), Column("tickets", "bigint"))
PARTS = [Part(mart, month) for mart in ("fct_a", "fct_b") for month in ("2026-01", "2026-02")]

contents = st.dictionaries(st.sampled_from(PARTS), st.integers(1, 3), max_size=4)


def batches(content):
    return [
        Batch(part, Path("x"), str(hashed), hashed, COLUMNS) for part, hashed in content.items()
    ]


def receipt(batch, *, is_done=True):
    figures = Figures(batch.rows) if is_done else None
    return Receipt(batch.part, batch.batch_id, is_done, figures)


class Target:
    """What a target shows, and its receipts; published one change after another."""

    def __init__(self):
        self.rows, self.receipts = {}, {}

    def plan(self, content):
        return make_plan(batches(content), self.receipts, dict(self.rows))

    def follow(self, changes, steps=10**6):
        """Do what a run does, and stop after so many steps: before, in or after a change."""
        for change in changes:
            for step in (self._begin, self._apply, self._end):
                if steps == 0:
                    return
                steps -= 1
                if change.action != "skip":
                    step(change)

    def _begin(self, change):
        batch_id = change.batch.batch_id if change.batch else ""
        self.receipts[change.part] = Receipt(change.part, batch_id, False)

    def _apply(self, change):
        if change.action == "publish":
            assert change.part not in self.rows
        if change.batch:
            self.rows[change.part] = Figures(change.batch.rows)
        else:
            self.rows.pop(change.part, None)

    def _end(self, change):
        if change.batch:
            self.receipts[change.part] = receipt(change.batch)
        else:
            del self.receipts[change.part]

    def shown(self):
        return {part: figures.rows for part, figures in self.rows.items()}


@given(contents, contents)
def test_a_target_shows_what_was_published_last_and_publishing_it_again_does_nothing(first, then):
    target = Target()
    for content in (first, then):
        target.follow(target.plan(content))
        assert target.shown() == content
    assert {change.action for change in target.plan(then)} <= {"skip"}


@given(contents, st.randoms())
def test_the_order_of_what_is_wanted_changes_nothing(content, dice):
    mixed = batches(content)
    dice.shuffle(mixed)
    assert make_plan(mixed, {}, {}) == make_plan(batches(content), {}, {})


@given(contents, contents, st.integers(0, 12), st.integers(0, 12))
def test_killed_anywhere_the_next_run_replaces_and_never_adds(first, then, steps, again):
    target = Target()
    target.follow(target.plan(first), steps)
    target.follow(target.plan(then), again)
    changes = target.plan(then)
    assert all(c.action != "publish" for c in changes if c.part in target.rows)
    target.follow(changes)
    assert target.shown() == then


def test_a_receipt_that_was_not_finished_leads_to_a_replacement():
    (batch,) = batches({PARTS[0]: 1})
    (change,) = make_plan([batch], {batch.part: receipt(batch, is_done=False)}, {})
    assert (change.action, change.reason) == ("replace", "an earlier run ended before its receipt")


def test_rows_that_somebody_altered_in_the_target_are_replaced():
    (batch,) = batches({PARTS[0]: 2})
    known = {batch.part: receipt(batch)}
    assert make_plan([batch], known, {batch.part: Figures(2)})[0].action == "skip"
    assert make_plan([batch], known, {batch.part: Figures(1)})[0].action == "replace"
    assert make_plan([batch], known, {})[0].action == "replace"


def test_what_the_target_shows_without_a_receipt_is_replaced_or_removed():
    (batch,) = batches({PARTS[0]: 2})
    changes = make_plan([batch], {}, {PARTS[0]: Figures(2), PARTS[1]: Figures(1)})
    assert [change.action for change in changes] == ["replace", "remove"]


def test_only_what_is_in_scope_is_touched():
    known = {batch.part: receipt(batch) for batch in batches(dict.fromkeys(PARTS, 1))}
    found = dict.fromkeys(PARTS, Figures(1))
    changes = make_plan([], known, found, lambda part: part.mart == "fct_a")
    assert [change.part for change in changes] == PARTS[:2]


def test_other_columns_make_another_batch():
    (batch,) = batches({PARTS[0]: 1})
    other = Batch(batch.part, batch.path, batch.content, 1, COLUMNS[:1])
    assert batch.batch_id != other.batch_id


def test_a_new_column_that_may_be_null_is_added():
    wanted = (*COLUMNS, Column("net", "decimal(18,4)"))
    assert added_columns("t", "m", wanted, COLUMNS) == [Column("net", "decimal(18,4)")]


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        pytest.param(COLUMNS[:1], "tickets (bigint) is gone", id="gone"),
        pytest.param(
            (COLUMNS[0], Column("tickets", "double")),
            "tickets is double and was bigint",
            id="other type",
        ),
        pytest.param(
            (*COLUMNS, Column("net", "double", is_nullable=False)),
            "net (double) is new and never null",
            id="new and never null",
        ),
    ],
)
def test_any_other_change_of_columns_is_refused_by_name(wanted, named):
    with pytest.raises(ContractError) as caught:
        added_columns("t", "m", wanted, COLUMNS)
    assert caught.value.code == "E_PUBLISH_SCHEMA"
    assert named in str(caught.value)


def test_a_difference_names_the_partition_and_the_figure():
    expected = {PARTS[0]: Figures(2, sums={"net": 12345})}
    with pytest.raises(ContractError) as caught:
        require_equal("t", expected, {PARTS[0]: Figures(2, sums={"net": 12300})}, "the stage")
    assert caught.value.code == "E_RECONCILE"
    assert "fct_a/2026-01: sums of net 12345 != 12300" in str(caught.value)


def test_figures_survive_being_written():
    figures = Figures(2, {"unit_key": ("a", None)}, {"net": 1}, {"net": 12345})
    assert Figures.from_json(figures.to_json()) == figures
