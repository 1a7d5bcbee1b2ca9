"""What only Snowflake has: keys, a lease, files in a stage, and what its driver is told."""

import sys
import tempfile
from datetime import date

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import rsa

from ksi_pipeline.core.errors import ConfigError, KsiError, PermanentError, TransientError

from ..services.cutting_proxy import CuttingProxy
from .places import MART, ROWS, SECRET, sale
from .snowflake_place import SnowflakePlace
from .test_contract import EVERYTHING, RESTATED

pytestmark = pytest.mark.services
# as the service sends them: a pattern of the statement, number, SQLSTATE and text
NO_RIGHT = (
    rf"create table if not exists \S*{MART}",
    "003001",
    "42501",
    f"SQL access control error:\nInsufficient privileges to operate on schema '{SECRET}'.",
)
NOT_SEEN = ("create stage", "002003", "02000", "SQL compilation error:\nSchema does not exist or")
NO_WAREHOUSE = ("copy into", "000606", "57P03", "No active warehouse selected in the current sess")
BAD_VALUE = ("copy into", "100038", "22018", f"Numeric value '{SECRET}' is not recognized")
TOO_SLOW = ("insert into", "000630", "57014", "Statement reached its statement or warehouse timeo")
LOCKED = ("delete from", "000625", "57014", f"Statement '{SECRET}' has locked table 'FCT_SALES'")


@pytest.fixture
def place(snowflake, tmp_path):
    return SnowflakePlace(tmp_path, snowflake)


def with_settings(place, **settings):
    place.config = place.config.model_copy(update=settings)


def refused(place, marts, **given):
    """Publish, and give the error, which tells no secret."""
    with pytest.raises(KsiError) as caught:
        place.publish(marts.batches(), **given)
    assert SECRET not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return caught.value


def pem(key, phrase=None):
    how = ser.BestAvailableEncryption(phrase.encode()) if phrase else ser.NoEncryption()
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, how).decode()


def new_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def use_key(place, held, phrase=None):
    """Let the service know the public key of `held`, and the place log in with a key."""
    public = held.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    place.server.control(users={"KSI_PUBLISHER": {"public_key": public.decode()}})
    place.secrets["KEY"], place.secrets["PHRASE"] = pem(held, phrase), phrase
    phrase_env = "PHRASE" if phrase else None
    with_settings(place, password_env=None, private_key_env="KEY", passphrase_env=phrase_env)


@pytest.mark.parametrize("phrase", [None, SECRET], ids=["bare", "with a passphrase"])
def test_a_private_key_logs_in(place, marts, phrase):
    use_key(place, new_key(), phrase)
    place.publish(marts.batches())
    assert place.rows() == EVERYTHING


def test_a_key_that_stands_in_one_line_is_read(place, marts):
    use_key(place, new_key())
    place.secrets["KEY"] = place.secrets["KEY"].replace("\n", "\\n")
    place.publish(marts.batches({"2026-01": ROWS["2026-01"]}))
    assert place.rows() == sorted(ROWS["2026-01"])


def test_another_key_is_refused(place, marts):
    use_key(place, new_key())
    place.secrets["KEY"] = pem(new_key())
    error = refused(place, marts)
    assert error.code == "E_TARGET_AUTH"
    assert "what KEY holds" in str(error)


@pytest.mark.parametrize("broken", ["KEY", "PHRASE"])
def test_a_key_that_cannot_be_read_names_its_variable(place, marts, broken):
    use_key(place, new_key(), SECRET)
    place.secrets[broken] = "x" + SECRET
    error = refused(place, marts)
    assert error.code == "E_TARGET_SECRET"
    assert "KEY and PHRASE" in str(error)


@pytest.mark.parametrize("wrong", [{"user": "NOBODY"}, {"password_env": "OTHER"}], ids=str)
def test_wrong_credentials_are_told_and_never_shown(place, marts, wrong):
    place.secrets["OTHER"] = SECRET + "x"
    with_settings(place, **wrong)
    assert refused(place, marts, attempts=3, sleep=pytest.fail).code == "E_TARGET_AUTH"


def test_where_nobody_answers_it_is_said_in_time(place, marts):
    with_settings(place, url="http://127.0.0.1:9", connect_timeout_s=1)
    error = refused(place, marts)
    assert (type(error), error.code) == (TransientError, "E_TARGET_UNREACHABLE")


@pytest.mark.parametrize(
    ("refusal", "kind", "code"),
    [
        pytest.param(NO_RIGHT, PermanentError, "E_TARGET_RIGHTS", id="may not create"),
        pytest.param(NOT_SEEN, PermanentError, "E_TARGET_RIGHTS", id="sees no schema"),
        pytest.param(NO_WAREHOUSE, PermanentError, "E_TARGET_RIGHTS", id="no warehouse"),
        pytest.param(BAD_VALUE, PermanentError, "E_TARGET_TYPE", id="value"),
        pytest.param(TOO_SLOW, TransientError, "E_TARGET_TIMEOUT", id="slow"),
        pytest.param(LOCKED, TransientError, "E_TARGET_TIMEOUT", id="locked"),
    ],
)
def test_what_the_service_refuses_has_its_code_and_readers_keep_what_they_had(
    place, marts, refusal, kind, code
):
    if refusal is not NO_RIGHT:
        place.publish(marts.batches())
        place.ask(f"update {MART} set tickets = 26 where tickets = 25")
    before = place.rows()
    place.server.control(refusals=[refusal])
    error = refused(place, marts)
    assert (type(error), error.code) == (kind, code)
    assert ("ksi publish t --grants" in str(error)) == (code == "E_TARGET_RIGHTS")
    assert place.rows() == before
    place.server.control(refusals=[])
    place.publish(marts.batches())
    assert place.rows() == EVERYTHING


def test_sessions_end_by_themselves_and_tell_nobody(place, marts):
    place.publish(marts.batches({"2026-01": ROWS["2026-01"]}))
    logins = [one for one in place.server.control()["statements"] if "login" in one]
    assert logins[0]["role"] == "KSI_PUBLISHER"
    assert logins[0]["login"] == {
        "AUTOCOMMIT": True,
        "CLIENT_TELEMETRY_ENABLED": False,
        "QUERY_TAG": "ksi publish t",
        "TIMEZONE": "UTC",
        "STATEMENT_TIMEOUT_IN_SECONDS": 20,
        "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": 20,
        "LOCK_TIMEOUT": 0,
        **{k: v for k, v in logins[0]["login"].items() if k.startswith("CLIENT_PREFETCH")},
    }


def test_how_long_to_wait_for_locks_is_told_in_whole_seconds(place, marts):
    with_settings(place, lock_wait_s=2.5)
    place.publish([])
    (login,) = [one["login"] for one in place.server.control()["statements"] if "login" in one]
    assert repr(login["LOCK_TIMEOUT"]) == "3"


def test_statements_are_tagged_with_their_batch(place, marts):
    batches = marts.batches()
    place.publish(batches)
    place.publish(batches[:1])
    tags = [one for one in place.statements() if "query_tag" in one]
    named = [f"{MART}/{batch.part.month} {batch.batch_id}" for batch in batches]
    named.append(f"{MART}/2026-02 removed")
    assert tags == [f"alter session set query_tag = 'ksi publish t {name}'" for name in named]


def test_no_table_is_made_or_dropped_in_a_transaction(place, marts):
    place.publish(marts.batches())
    place.publish(marts.batches(RESTATED))
    told, commits = " ; ".join(place.statements()), 0
    for transaction in told.split("begin ; ")[1:]:
        inside, committed, _ = transaction.partition("; commit")
        commits += bool(committed)
        assert not {"create", "alter", "drop", "put", "copy"} & set(inside.split())
    assert commits == 3


def test_tables_and_columns_have_their_descriptions(place, marts):
    place.publish(marts.batches())
    tables = f"{place.database}.information_schema.tables"
    told = place.ask(f"select comment from {tables} where table_name = '{MART.upper()}'")
    assert told == [("Sales by hour.",)]
    # the stand-in forgets comments of columns
    (made,) = [
        one
        for one in place.statements()
        if one.startswith("create table if not exists KSI_") and MART in one
    ]
    assert "unit_key varchar comment 'The unit; it''s text.'" in made


def test_every_row_names_its_batch(place, marts):
    batches = marts.batches()
    place.publish(batches)
    found = place.ask(f"select distinct ksi_batch_id from {MART}")
    assert {row[0] for row in found} == {batch.batch_id for batch in batches}


def staged(place):
    tables = place.ask(f"show tables in schema {place.database}.KSI")
    names = [row[1] for row in tables if row[1].startswith("KSI_STAGE_")]
    files = place.server.control()["files"]
    return names, [name for name in files if name.startswith(f"{place.database}/")]


def test_nothing_that_was_staged_stays(place, marts):
    place.publish(marts.batches())
    assert staged(place) == ([], [])


def test_what_a_killed_run_staged_is_swept_up(place, marts):
    place.publish_until(marts.batches(), 3)
    assert [len(left) for left in staged(place)] == [1, 1]
    place.publish([])
    assert staged(place) == ([], [])


def test_a_lease_that_has_not_ended_keeps_others_out(place, marts):
    place.publish([])
    place.ask("update KSI_LEASE set holder = 'who died', ends = 99999999999")
    assert refused(place, marts).code == "E_TARGET_BUSY"
    place.ask("update KSI_LEASE set ends = 0")
    place.publish(marts.batches())
    assert place.rows() == EVERYTHING


def test_a_publisher_waits_for_the_lease(place, marts):
    place.publish([])
    place.ask("update KSI_LEASE set holder = 'who died', ends = 99999999999")
    with_settings(place, lock_wait_s=20)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        place.ask("update KSI_LEASE set ends = 0")

    target = place.target()
    target._sleep = sleep
    with target.hold():
        assert len(waits) == 1


@pytest.mark.parametrize("step", ["stage", "apply"])
def test_a_publisher_that_lost_its_lease_changes_nothing(place, marts, step):
    place.publish(marts.batches())

    def told(what, _share):
        if what.startswith(step):
            place.ask("update KSI_LEASE set holder = 'another', ends = 99999999999")

    with pytest.raises(TransientError) as caught:
        place.publish(marts.batches(RESTATED), told=told)
    assert caught.value.code == "E_TARGET_BUSY"
    assert place.rows() == EVERYTHING
    assert place.ask("select holder from KSI_LEASE") == [("another",)]


def test_a_network_that_is_cut_while_a_file_is_sent_leaves_readers_what_they_had(
    place, marts, monkeypatch, caplog, tmp_path
):
    from snowflake.connector.storage_client import SnowflakeStorageClient

    monkeypatch.setattr(SnowflakeStorageClient, "SLEEP_UNIT", 0.01)
    place.publish(marts.batches())
    days = [date(2026, 1, day) for day in range(1, 31)]
    many = [sale(day, n % 24, n, code=f"{n:032x}") for day in days for n in range(200)]
    (batch,) = marts.batches({"2026-01": many})
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with CuttingProxy(place.server.port, b"PUT /fs_bucket") as proxy:
        with_settings(place, url=f"http://127.0.0.1:{proxy.port}")
        proxy.cut_after = batch.path.stat().st_size // 2
        with pytest.raises(TransientError) as caught:
            place.publish([batch, marts.batches()[1]])
        assert caught.value.code == "E_TARGET_UNREACHABLE"
        assert proxy.cuts > 1
        assert place.rows() == EVERYTHING
        proxy.cut_after = None
        place.publish([batch, marts.batches()[1]])
    assert place.rows() == sorted([*many, *ROWS["2026-02"]])
    assert list((tmp_path / "temporary").rglob("*")) == []
    # what the driver writes into its log names addresses that open files
    assert [record for record in caplog.records if record.name.startswith("snowflake")] == []


def test_the_password_is_in_no_file(place, marts):
    place.publish(marts.batches())
    written = [path for path in place.folder.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_a_target_without_its_driver_says_what_to_install(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "snowflake.connector", None)
    with pytest.raises(ConfigError, match=r"\.\[snowflake\]"):
        place.target().columns(MART)
