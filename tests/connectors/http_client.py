"""An HTTP client that notes how long it would wait, and how tests ask with it."""

import random
from datetime import UTC, datetime

from ksi_pipeline.core.secret import Token
from ksi_pipeline.http import Hosts, HttpClient, HttpLimits
from ksi_pipeline.sandbox.pos_api import PosApi

SECRET = "s3cret-Token.42"
ASKER = "Connector 'pos-main'"
QUERY = "?fromTime=2023-02-08T09:00:00-03:00&toTime=2023-02-08T10:59:59-03:00&ext_ref_codes=0001"
ROWS = [{"time": "2023-02-08T09:00:00-03:00", "ext_ref_code": "0001", "num_tickets": 25}]


def client(waits: list[float] | None = None, hosts: Hosts | None = None, **limits) -> HttpClient:
    noted: list[float] = [] if waits is None else waits
    usual = {"read_timeout_s": 2.0, "max_attempts": 3, "allow_private": True}
    return HttpClient(
        HttpLimits(**{**usual, **limits}),
        hosts=hosts,
        sleep=noted.append,
        rng=random.Random(7),
        now=lambda: datetime(2026, 3, 2, 9, tzinfo=UTC),
    )


def ask(api: PosApi, http: HttpClient, secret: str = SECRET):
    return http.get(api.url + QUERY, token=Token(secret), asker=ASKER)
