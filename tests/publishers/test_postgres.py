"""What only PostgreSQL has: rights, credentials, comments, locks, open transactions."""

import sys
import threading
import time
import traceback

import pytest

from ksi_pipeline.core.errors import ConfigError, KsiError, PermanentError, TransientError
from ksi_pipeline.publishers.plan import Change

from .places import MART, ROWS, SECRET, PostgresPlace

pytestmark = pytest.mark.services


@pytest.fixture
def place(postgres, tmp_path):
    return PostgresPlace(tmp_path, postgres)


def ask(place, query):
    with place.server.connection(place.database) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda url: url.replace(SECRET, SECRET + "x"), "E_TARGET_AUTH", id="password"),
        pytest.param(
            lambda url: url.replace("ksi_publisher:", "nobody:"), "E_TARGET_AUTH", id="user"
        ),
        pytest.param(lambda url: url + "x", "E_TARGET_UNREACHABLE", id="database"),
        pytest.param(lambda _url: f"no url {SECRET}", "E_TARGET_SECRET", id="no URL"),
    ],
)
def test_wrong_credentials_are_told_apart_and_never_shown(place, marts, change, code):
    place.secrets["WAREHOUSE_URL"] = change(place.secrets["WAREHOUSE_URL"])
    with pytest.raises(KsiError) as caught:
        place.publish(marts.batches())
    assert caught.value.code == code
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_rows_that_the_database_names_are_not_shown(place, marts):
    place.publish(marts.batches())
    place.alter(f"create unique index on {MART} (unit_key, hour_start_utc)")
    with pytest.raises(KsiError) as caught:
        place.publish(marts.batches({**ROWS, "2026-02": [*ROWS["2026-02"]] * 2}))
    shown = traceback.format_exception(caught.value)
    assert "UniqueViolation" in "".join(shown)
    assert "mall/0001" not in "".join(shown)


def test_the_password_is_in_no_file(place, marts):
    place.publish(marts.batches())
    written = [path for path in place.folder.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_without_the_grants_the_message_says_how_to_get_them(place, marts):
    with place.server.connection(place.database) as connection:
        connection.execute("drop schema ksi")
    with pytest.raises(PermanentError, match="ksi publish t --grants") as caught:
        place.publish(marts.batches())
    assert caught.value.code == "E_TARGET_RIGHTS"


def test_a_value_that_the_table_refuses_is_no_reason_to_try_again(place, marts):
    place.publish(marts.batches({"2026-01": ROWS["2026-01"]}))
    place.alter(f"alter table {MART} add check (tickets < 7) not valid")
    with pytest.raises(PermanentError) as caught:
        place.publish(marts.batches(), attempts=3, sleep=pytest.fail)
    assert caught.value.code == "E_TARGET_FAILED"
    assert place.rows() == sorted(ROWS["2026-01"])


def test_tables_and_columns_have_their_descriptions(place, marts):
    place.publish(marts.batches())
    table = f"'ksi.{MART}'::regclass"
    told = ask(place, f"select obj_description({table}), col_description({table}, 1)")
    assert told == [("Sales by hour.", "The unit; it's text.")]


def test_every_row_names_its_batch(place, marts):
    batches = marts.batches()
    place.publish(batches)
    found = ask(place, f"select distinct ksi_batch_id from ksi.{MART}")
    assert {row[0] for row in found} == {batch.batch_id for batch in batches}


def test_what_is_staged_and_never_applied_is_seen_by_no_reader(place, marts):
    place.publish(marts.batches())
    target = place.target()
    fewer = marts.batches({**ROWS, "2026-01": ROWS["2026-01"][:1]})[0]
    with target.hold():
        staged = target.stage([Change("replace", fewer.part, fewer, "other rows")])
        assert staged[fewer.part].rows == 1
        assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)


def test_a_publisher_that_stands_still_gives_up_its_locks_and_may_try_again(place, marts):
    place.publish(marts.batches())
    place.config = place.config.model_copy(update={"step_timeout_s": 1})

    def stands_still(what, _share):
        if what.startswith("apply"):
            time.sleep(1.5)

    with pytest.raises(TransientError) as caught:
        place.publish(marts.batches({"2026-01": ROWS["2026-01"][:1]}), told=stands_still)
    assert caught.value.code == "E_TARGET_TIMEOUT"
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)


def test_a_table_that_was_dropped_comes_back(place, marts):
    place.publish(marts.batches())
    place.alter(f"drop table {MART}")
    place.publish(marts.batches())
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)


def test_a_second_publisher_waits_for_the_first(place, marts):
    patient = place.config.model_copy(update={"lock_wait_s": 30.0})
    with place.target().hold():
        place.config = patient
        second = threading.Thread(target=lambda: place.publish(marts.batches()), daemon=True)
        second.start()
        second.join(1.0)
        assert place.rows() == []
    second.join()
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)


def test_a_connection_that_breaks_off_is_made_again(place, marts):
    broken = []

    def told(what, _share):
        if what.startswith("apply") and not broken:
            broken.append(what)
            with place.server.connection(place.database) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where usename = 'ksi_publisher'"
                )

    place.publish(marts.batches(), attempts=2, sleep=lambda _s: None, told=told)
    assert broken
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)


def test_a_target_without_its_driver_says_what_to_install(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"\.\[postgres\]"):
        place.target().columns(MART)
