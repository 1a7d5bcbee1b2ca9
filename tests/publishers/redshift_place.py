"""Redshift and its bucket as a place to publish to, with the rights that --grants prints."""

import json

from ksi_pipeline.publishers.redshift.config import RedshiftConfig
from ksi_pipeline.publishers.redshift.sql import RedshiftSql

from ..services.redshift import BUCKET, REGION, ROLE
from .places import MART, NAMES, SECRET, Place

SETTINGS = {
    "id": "t",
    "kind": "redshift",
    "url_env": "WAREHOUSE_URL",
    "s3": f"s3://{BUCKET}/exports",
    "iam_role": ROLE,
    "region": REGION,
    "lock_wait_s": 2,
}


def policies(**settings):
    """The documents that --grants prints: of who uploads, and of the role that copies."""
    config = RedshiftConfig.model_validate({**SETTINGS, **settings})
    lines = RedshiftSql(config).grants()
    return [json.loads(line.removeprefix("-- ")) for line in lines if line.startswith("-- {")]


class RedshiftPlace(Place):
    def __init__(self, folder, server, **settings):
        self.server, self.postgres, self.aws = server, server.postgres, server.aws
        self.database = self.postgres.new_database("redshift")
        self.postgres.new_role("ksi_publisher", SECRET)
        self.postgres.new_role("ksi_reader", SECRET)
        url = server.url(self.database, "ksi_publisher", SECRET)
        super().__init__(folder, {**SETTINGS, **settings}, {"WAREHOUSE_URL": url})
        with self.postgres.connection(self.database) as connection:
            for statement in self.target().grants():
                if not statement.startswith("--"):
                    connection.execute(statement)
        server.statements.clear()
        server.copied.clear()

    def rows(self):
        """Read as who may read and nothing else."""
        import psycopg

        url = self.postgres.url(self.database, "ksi_reader", SECRET).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            known = connection.execute("select to_regclass(%s)", [f"ksi.{MART}"]).fetchone()[0]
            asked = f"select {', '.join(NAMES)} from ksi.{MART}"
            return sorted(connection.execute(asked).fetchall()) if known else []

    def alter(self, statement):
        with self.postgres.connection(self.database) as connection:
            connection.execute("set search_path = ksi")
            connection.execute(statement)
