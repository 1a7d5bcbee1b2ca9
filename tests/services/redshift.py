"""Redshift and S3 of the tests' own: a proxy before PostgreSQL, and moto in its own process."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from .redshift_proxy import RedshiftProxy

REPO = Path(__file__).resolve().parents[2]
BUCKET = "acme-ksi"
REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/ksi-copy"
_START_S = 60
# nothing of the machine's own configuration is read
_NO_FILE = {
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": REGION,
}


class Aws:
    """S3 and IAM that refuse who has no right, as AWS does."""

    def __init__(self, port):
        self.url, self.port = f"http://127.0.0.1:{port}", port
        self._keys = {}

    def client(self, service, user=None):
        """A client of a user; before rights are asked for, of anybody."""
        import boto3

        key = self._keys.get(user, {"AccessKeyId": "any", "SecretAccessKey": "any"})
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    def new_user(self, name, policy):
        """Make a user with these rights and no other."""
        iam = self.client("iam", "admin")
        iam.create_user(UserName=name)
        # moto knows no prefix of a request
        allowed = [{**one, "Condition": {}} for one in policy["Statement"]]
        document = json.dumps({**policy, "Statement": allowed})
        iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
        self._keys[name] = iam.create_access_key(UserName=name)["AccessKey"]

    def environment(self, user):
        """The variables that AWS's client reads."""
        key = self._keys[user]
        return {
            **_NO_FILE,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def objects(self):
        """Keys of all objects."""
        found = self.client("s3", "admin").list_objects_v2(Bucket=BUCKET)
        return [one["Key"] for one in found.get("Contents", ())]

    def unfinished(self):
        """Keys of uploads that nobody finished."""
        found = self.client("s3", "admin").list_multipart_uploads(Bucket=BUCKET)
        return [one["Key"] for one in found.get("Uploads", ())]

    def ask_for_rights(self):
        """From now on, rights are asked for."""
        asked = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(asked, timeout=30).read()


class RedshiftServer(RedshiftProxy):
    """A running stand-in; databases and users are those of its PostgreSQL."""

    def __init__(self, postgres, aws, tls=None):
        super().__init__(postgres, aws.client("s3", "copy"), ROLE, tls)
        self.aws = aws

    def url(self, database, user, password):
        """The URL of a target."""
        at = f"127.0.0.1:{self.port}/{database}"
        return f"redshift://{user}:{password}@{at}?sslmode=disable"


@contextmanager
def running_aws():
    """Start moto, and stop it by its process id; skip where it is not installed."""
    program = REPO / ".services" / "redshift" / "bin" / "moto_server"
    if not program.exists():
        pytest.skip("S3's stand-in is not installed: make .services/redshift/.done")
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    server = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_NO_FILE, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
    )
    try:
        aws = Aws(port)
        _wait(aws, server)
        yield aws
    finally:
        # it has nothing to save
        server.kill()
        server.wait(_START_S)


@contextmanager
def running_redshift(postgres, upload_policy, copy_policy):
    """Start S3 with users of these rights, and the proxy; the environment is the publisher's."""
    with running_aws() as aws:
        anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        aws.new_user("admin", {"Version": "2012-10-17", "Statement": [anything]})
        aws.new_user("publisher", upload_policy)
        aws.new_user("copy", copy_policy)
        where = {"LocationConstraint": REGION}
        aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        aws.ask_for_rights()
        with pytest.MonkeyPatch.context() as patch, RedshiftServer(postgres, aws) as server:
            for name, value in aws.environment("publisher").items():
                patch.setenv(name, value)
            yield server


def _wait(aws, server):
    end = time.monotonic() + _START_S
    while True:
        try:
            urllib.request.urlopen(f"{aws.url}/moto-api/data.json", timeout=5).read()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail("moto did not start")
            time.sleep(0.2)
