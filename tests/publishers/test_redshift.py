"""What only Redshift has: files in S3, COPY, a lock on a table, two kinds of credentials."""

import hashlib
import json
import shutil
import ssl
import subprocess
import sys
import threading

import pytest

from ksi_pipeline.core.errors import ConfigError, KsiError, PermanentError, TransientError

from ..services.cutting_proxy import CuttingProxy
from ..services.redshift import BUCKET, ROLE, RedshiftServer
from .places import MART, NAMES, ROWS, SECRET, sale
from .redshift_place import RedshiftPlace

pytestmark = pytest.mark.services
EVERYTHING = sorted(row for rows in ROWS.values() for row in rows)
PREFIX = "exports/ksi-stage/t/"


@pytest.fixture
def place(redshift, tmp_path):
    return RedshiftPlace(tmp_path, redshift)


@pytest.fixture
def stored(place):
    """S3 as its owner sees it."""
    return place.aws.client("s3", "admin")


def ask(place, query):
    with place.postgres.connection(place.database) as connection:
        return connection.execute(query).fetchall()


def shown(caught):
    """All of an error that anybody may write down."""
    error = caught.value
    return f"{error}{error.__cause__}{error.__context__}"


def refused(place, marts, code, **given):
    with pytest.raises(KsiError) as caught:
        place.publish(marts.batches(), **given)
    assert caught.value.code == code
    return caught


def staged(place, marts, monkeypatch, rows=ROWS["2026-01"]):
    """The batches, published until their files wait in S3."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ksi_pipeline.publishers.redshift.bucket.Bucket.remove", killed)
    monkeypatch.setattr("ksi_pipeline.publishers.redshift.bucket.Bucket.sweep", lambda _self: None)
    batches = marts.batches({"2026-01": rows})
    with pytest.raises(KeyboardInterrupt):
        place.publish(batches)
    monkeypatch.undo()
    return batches


def test_the_files_and_the_manifest_are_what_copy_is_told(place, marts, stored, monkeypatch):
    (batch,) = staged(place, marts, monkeypatch)
    folder = f"{PREFIX}{batch.batch_id}"
    assert place.aws.objects() == [f"{folder}/manifest", f"{folder}/part-00000.parquet"]
    part = stored.get_object(Bucket=BUCKET, Key=f"{folder}/part-00000.parquet")
    content = part["Body"].read()
    assert part["Metadata"] == {"sha256": hashlib.sha256(content).hexdigest()}
    manifest = stored.get_object(Bucket=BUCKET, Key=f"{folder}/manifest")["Body"].read()
    assert json.loads(manifest) == {
        "entries": [
            {
                "url": f"s3://{BUCKET}/{folder}/part-00000.parquet",
                "mandatory": True,
                "meta": {"content_length": len(content)},
            }
        ]
    }
    (copied,) = [said for said in place.server.statements if said.startswith("copy")]
    assert f"from 's3://{BUCKET}/{folder}/manifest' iam_role '{ROLE}'" in copied


def test_what_a_killed_run_left_is_swept_and_nothing_else(place, marts, stored, monkeypatch):
    staged(place, marts, monkeypatch)
    stages = "select count(*) from pg_tables where tablename like 'ksi_stage_%'"
    assert ask(place, stages) == [(1,)]
    unfinished = {"Bucket": BUCKET, "Key": f"{PREFIX}x/part-00000.parquet"}
    stored.create_multipart_upload(**unfinished)
    others = ["exports/ksi-stage/t2/a", "exports/other"]
    for key in others:
        stored.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    place.publish(marts.batches())
    assert place.aws.objects() == others
    assert place.aws.unfinished() == []
    assert ask(place, stages) == [(0,)]
    for key in others:
        stored.delete_object(Bucket=BUCKET, Key=key)


def test_copied_columns_have_the_order_of_the_stage_whatever_that_of_the_mart(place, marts):
    place.publish(marts.batches())
    (key, rows), _ = place.server.copied
    assert key.startswith(PREFIX)
    assert rows.column_names == list(NAMES)
    with place.postgres.connection(place.database) as connection:
        connection.execute(f"alter table ksi.{MART} rename column code to x")
        connection.execute(f"alter table ksi.{MART} add column code varchar(9)")
        connection.execute(f"alter table ksi.{MART} drop column x")
    place.publish(marts.batches())
    assert place.rows() == EVERYTHING


def test_a_partition_is_replaced_in_one_transaction_with_what_is_read_back(place, marts):
    place.publish(marts.batches({"2026-01": ROWS["2026-01"]}))
    said = place.server.statements
    at = next(n for n, one in enumerate(said) if one.startswith("delete"))
    first = at - said[at::-1].index("begin")
    last = said.index("commit", at)
    kinds = [one.split()[0] for one in said[first : last + 1] if not one.startswith("comment")]
    assert kinds == ["begin", "create", "delete", "insert", "drop", "select", "commit"]


def many():
    """Rows of some six million bytes that do not shrink."""
    day = ROWS["2026-01"][0][2]
    texts = [hashlib.shake_256(b"%d" % n).hexdigest(450) for n in range(8_000)]
    return [(text, *sale(day, 9, 1)[1:]) for text in texts]


def test_a_file_larger_than_a_part_goes_up_in_parts(place, marts, stored, monkeypatch):
    monkeypatch.setattr("ksi_pipeline.publishers.redshift.bucket.PART_BYTES", 5 * 2**20)
    staged(place, marts, monkeypatch, many())
    (part,) = [key for key in place.aws.objects() if key.endswith(".parquet")]
    # S3 hashes parts one by one, and says of how many
    assert stored.head_object(Bucket=BUCKET, Key=part)["ETag"].endswith('-2"')


def test_a_network_that_breaks_off_while_a_part_goes_up_is_tried_again(place, marts, monkeypatch):
    monkeypatch.setattr("ksi_pipeline.publishers.redshift.bucket.PART_BYTES", 5 * 2**20)
    with CuttingProxy(place.aws.port, cut_after=2**20) as network:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{network.port}")
        with pytest.raises(TransientError) as caught:
            place.publish(marts.batches({"2026-01": many()}))
        assert caught.value.code == "E_TARGET_UNREACHABLE"
        assert network.cuts
        assert place.rows() == []
        network.cut_after = None
        place.publish(marts.batches({"2026-01": many()}))
    assert len(place.rows()) == len(many())
    assert (place.aws.objects(), place.aws.unfinished()) == ([], [])


def test_a_connection_that_breaks_off_in_the_middle_of_copy_is_made_again(place, marts):
    place.server.cut_copies = 1
    place.publish(marts.batches(), attempts=2, sleep=lambda _s: None)
    assert place.server.cut_copies == 0
    assert place.rows() == EVERYTHING
    assert place.aws.objects() == []


def test_a_lock_that_was_lost_stops_the_run_before_readers_see_anything(place, marts):
    def told(what, _share):
        if what.startswith("apply"):
            with place.postgres.connection(place.database) as connection:
                connection.execute(
                    "select pg_terminate_backend(l.pid) from pg_locks l join pg_class c "
                    "on c.oid = l.relation where c.relname = 'ksi_publish_lock'"
                )

    refused(place, marts, "E_TARGET_UNREACHABLE", told=told)
    assert place.rows() == []


def test_a_second_publisher_waits_for_the_first(place, marts):
    patient = place.config.model_copy(update={"lock_wait_s": 30.0})
    with place.target().hold():
        place.config = patient
        second = threading.Thread(target=lambda: place.publish(marts.batches()), daemon=True)
        second.start()
        second.join(1.0)
        assert place.rows() == []
    second.join()
    assert place.rows() == EVERYTHING


def test_a_statement_that_takes_too_long_is_given_up(place, marts):
    place.config = place.config.model_copy(update={"step_timeout_s": 1})
    place.publish(marts.batches())
    with place.postgres.connection(place.database) as connection, connection.transaction():
        connection.execute(f"lock table ksi.{MART}")
        refused(place, marts, "E_TARGET_TIMEOUT")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda url: url.replace(SECRET, SECRET + "x"), "E_TARGET_AUTH", id="password"),
        pytest.param(
            lambda url: url.replace("ksi_publisher:", "nobody:"), "E_TARGET_AUTH", id="user"
        ),
        pytest.param(
            lambda url: url.replace("/redshift", "/elsewhere"),
            "E_TARGET_UNREACHABLE",
            id="database",
        ),
        pytest.param(
            lambda url: url.replace("disable", "verify-full"), "E_TARGET_UNREACHABLE", id="no TLS"
        ),
        pytest.param(lambda _url: f"no url {SECRET}", "E_TARGET_SECRET", id="no URL"),
    ],
)
def test_wrong_credentials_of_the_database_are_told_apart_and_never_shown(
    place, marts, change, code
):
    place.secrets["WAREHOUSE_URL"] = change(place.secrets["WAREHOUSE_URL"])
    assert SECRET not in shown(refused(place, marts, code))


@pytest.fixture
def encrypted(redshift, tmp_path):
    """The same database behind TLS, and the file of the certificate of `localhost`."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed (Debian: apt-get install openssl).")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    named = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *made.split(), *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with RedshiftServer(redshift.postgres, redshift.aws, context) as server:
        yield server, certificate


@pytest.mark.parametrize(
    ("host", "is_known", "code"),
    [
        pytest.param("localhost", True, None, id="known and of that name"),
        pytest.param("127.0.0.1", True, "E_TARGET_UNREACHABLE", id="of another name"),
        pytest.param("localhost", False, "E_TARGET_UNREACHABLE", id="unknown"),
    ],
)
def test_without_a_mode_in_the_url_the_server_must_prove_its_name(
    place, marts, encrypted, monkeypatch, host, is_known, code
):
    server, certificate = encrypted
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    at = f"{host}:{server.port}/{place.database}"
    place.secrets["WAREHOUSE_URL"] = f"redshift://ksi_publisher:{SECRET}@{at}"
    if code:
        assert SECRET not in shown(refused(place, marts, code))
        assert server.users == []
    else:
        place.publish(marts.batches())
        assert place.rows() == EVERYTHING


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_of_s3_are_told_and_never_shown(place, marts, monkeypatch, name):
    monkeypatch.setenv(name, "AKIAWRONGWRONGWRONG1")
    caught = refused(place, marts, "E_TARGET_AUTH")
    assert "S3" in str(caught.value)
    assert "AKIA" not in shown(caught)
    assert place.rows() == []


def test_a_machine_without_credentials_of_s3_is_told_so(place, marts, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    caught = refused(place, marts, "E_TARGET_AUTH")
    assert "NoCredentialsError" in str(caught.value)


def test_a_bucket_that_may_not_be_written_says_how_to_get_the_rights(redshift, tmp_path, marts):
    place = RedshiftPlace(tmp_path, redshift, s3=f"s3://{BUCKET}/elsewhere")
    caught = refused(place, marts, "E_TARGET_RIGHTS")
    assert "ksi publish t --grants" in str(caught.value)


def test_a_role_that_the_database_may_not_assume_is_told(redshift, tmp_path, marts):
    other = "arn:aws:iam::123456789012:role/other"
    place = RedshiftPlace(tmp_path, redshift, iam_role=other)
    caught = refused(place, marts, "E_TARGET_RIGHTS")
    assert "IAM role" in str(caught.value)
    assert place.rows() == []


def test_without_the_grants_the_message_says_how_to_get_them(place, marts):
    with place.postgres.connection(place.database) as connection:
        connection.execute("drop schema ksi")
    with pytest.raises(PermanentError, match="ksi publish t --grants") as caught:
        place.publish(marts.batches())
    assert caught.value.code == "E_TARGET_RIGHTS"


def test_no_secret_is_in_any_file_or_statement(place, marts):
    place.publish(marts.batches())
    keys = place.aws.environment("publisher")
    secrets = [SECRET, keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_ACCESS_KEY_ID"]]
    written = [path.read_bytes() for path in place.folder.rglob("*") if path.is_file()]
    written += [said.encode() for said in place.server.statements]
    assert written
    assert [s for s in secrets for content in written if s.encode() in content] == []


def test_temporary_credentials_are_asked_for_and_used(place, marts):
    asked = place.aws.client("redshift", "admin")
    asked.create_cluster(
        ClusterIdentifier="main", NodeType="ra3.large", MasterUsername="a", MasterUserPassword="Bb1"
    )
    place.config = place.config.model_copy(update={"cluster": "main"})
    # who may not ask is told so
    assert "redshift AccessDenied" in str(refused(place, marts, "E_TARGET_RIGHTS").value)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.aws.environment("admin").items():
            patch.setenv(name, value)
        # its password is not known to PostgreSQL
        refused(place, marts, "E_TARGET_AUTH")
    assert place.server.users[-1] == "IAM:ksi_publisher"


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


@pytest.mark.parametrize("module", ["redshift_connector", "boto3"])
def test_a_target_without_its_driver_says_what_to_install(place, marts, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"\.\[redshift\]"):
        place.publish(marts.batches())
