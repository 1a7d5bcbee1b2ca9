"""What a database says no to has a code each, and no message shows a secret."""

import pickle
from datetime import date

import dagster as dg
import pytest

from ksi_pipeline.connectors.sql.failures import Teller
from ksi_pipeline.core.errors import FeedUnavailable
from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.run import run_main_job

from .homes import Home, current

SECRET = "p4ss%2Fword"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    return home


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"table": "nowhere"}, "E_SQL_TABLE"),
        ({"table": "main.nowhere"}, "E_SQL_TABLE"),
        ({"columns": ["nothing"]}, "E_SQL_COLUMN"),
        ({"watermark": {"column": "nothing", "kind": "updated_at", "zone": "UTC"}}, "E_SQL_COLUMN"),
        ({"watermark": {"column": "sku", "kind": "updated_at", "zone": "UTC"}}, "E_SQL_WATERMARK"),
        ({"watermark": {"column": "time", "kind": "ticket_time"}}, "E_SQL_WATERMARK"),
        ({"table": None, "query": "select 1 from lines", "tables": ["lines"]}, "E_SQL_COLUMN"),
        ({"table": None, "query": "select * from pos", "tables": ["lines"]}, "E_SQL_QUERY"),
    ],
)
def test_each_cause_has_its_code(home, settings, code):
    home.configure(**settings)
    assert home.failure().startswith(f"{code}: ")
    assert current(home.workspace) == {}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (None, "E_SQL_URL"),
        ("no url", "E_SQL_URL"),
        ("sqlite://", "E_SQL_URL"),
        ("sqlite:////nowhere/pos.sqlite", "E_SQL_UNREACHABLE"),
        (f"nosuch://reader:{SECRET}@db.example/pos", "E_SQL_DRIVER"),
        (f"oracle+oracledb://reader:{SECRET}@db.example/pos", "E_SQL_DRIVER"),
    ],
)
def test_an_address_that_does_not_work_is_not_repeated(home, url, code):
    home.env["POS_URL"] = url
    said = home.failure()
    assert said.startswith(f"{code}: ")
    assert not any(part in said for part in ("p4ss", "reader", "db.example", "nowhere", "no url"))


@pytest.mark.parametrize(
    "text",
    [
        "Cannot open: Server=db.example;UID=reader;PWD=p4ss (0) (SQLDriverConnect)",
        "no pg_hba entry for DB.EXAMPLE of db.example,other.example",
        'invalid value "p4ss" in column net',
    ],
)
def test_of_a_failure_without_a_known_cause_no_word_of_the_driver_is_shown(text):
    from sqlalchemy.exc import DBAPIError

    def fail():
        raise DBAPIError("select 'p4ss'", {"x": "p4ss"}, RuntimeError("22018", f"[22018] {text}"))

    with pytest.raises(FeedUnavailable) as failed:
        Teller("till", "POS_URL", "table 'lines'", "time", 1).attempt(fail)
    assert str(failed.value).startswith(
        "Connector 'till': the database failed with RuntimeError (SQLSTATE 22018). Of this window"
    )
    assert not any(part in str(failed.value).lower() for part in ("p4ss", "example", "reader"))


def test_a_file_that_is_not_there_is_not_made(home, tmp_path):
    home.env["POS_URL"] = f"sqlite:///{tmp_path / 'missing.sqlite'}"
    assert home.failure().startswith("E_SQL_UNREACHABLE: ")
    assert not (tmp_path / "missing.sqlite").exists()


def test_a_query_that_takes_too_long_is_given_up(home):
    endless = (
        "with recursive n as (select 1 as i union all select i + 1 from n) "
        "select store, no, time, sku, qty, net from lines, n where i < 0"
    )
    home.configure(table=None, query=endless, tables=["lines"], statement_timeout_s=0.1)
    assert home.failure().startswith("E_SQL_TIMEOUT: ")


def test_a_failure_carries_no_error_of_the_driver_along(home):
    from ksi_pipeline.connectors.config import load_connectors
    from ksi_pipeline.core.errors import FeedRefused
    from ksi_pipeline.defs.steps.sql_asking import asking_of, source_of

    home.configure(table="nowhere")
    (config,) = load_connectors(home.workspace.home.connectors)
    with pytest.raises(FeedRefused) as failed:
        source_of(home.workspace, asking_of(home.workspace, config)).sample()
    assert (failed.value.__cause__, failed.value.__context__) == (None, None)
    assert pickle.dumps(str(failed.value)).find(b"sqlite") == -1


def test_nothing_can_be_written_through_the_connection(home):
    from sqlalchemy import text

    from ksi_pipeline.connectors.config import load_connectors
    from ksi_pipeline.core.errors import FeedRefused
    from ksi_pipeline.defs.steps.sql_asking import asking_of, source_of

    (config,) = load_connectors(home.workspace.home.connectors)
    with source_of(home.workspace, asking_of(home.workspace, config)) as source:
        for statement in ("delete from lines", "create table other (x)"):
            with pytest.raises(FeedRefused, match="would write") as refused:
                source._one(text(statement))
            assert refused.value.code == "E_SQL_RIGHTS"
    home.pull()
    assert current(home.workspace) == {"A1": "1"}


@pytest.mark.slow
def test_a_run_takes_databases_to_the_marts_and_one_that_fails_fails_its_check_alone(tmp_path):
    from .homes import connectors, entry

    home = Home(tmp_path)
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    home.workspace.data_tests = False
    today = date(2026, 3, 27)
    home.env["BROKEN_URL"] = f"nosuch://reader:{SECRET}@db.example/pos"
    broken = entry(id="broken", url_env="BROKEN_URL")
    working = entry(since=today)
    home.workspace.home.connectors.write_text(connectors(broken, working))
    with dg.DagsterInstance.ephemeral() as instance:
        definitions, root = make_definitions(home.workspace), home.workspace.home.root
        report = run_main_job(definitions, instance, today, today, home=root)
        told = str(instance.all_logs(report.run_id))
    assert report.failures == []
    (warning,) = report.warnings
    assert warning.startswith("every_database_answered: E_SQL_DRIVER: Connector 'broken'")
    assert report.number("ticket_hours", "rows_loaded") == 1
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (len(kept) > 10, "E_SQL_DRIVER" in told) == (True, True)
    for secret in ("p4ss", "db.example"):
        assert secret not in told
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []
