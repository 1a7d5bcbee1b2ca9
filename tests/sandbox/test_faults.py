"""The sandbox's faults come as they were asked for, and again in the same places."""

import http.client
import json

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.sandbox.faults import NAMED, Chance
from ksi_pipeline.sandbox.pos_api import PosApi

TARGETS = [f"/sales?n={n}".encode() for n in range(500)]
ROWS = [
    {"time": f"2026-03-02T{hour:02d}:00:00+01:00", "ext_ref_code": code, "num_tickets": hour}
    for code in ("0001", "0002")
    for hour in (9, 10)
]
WINDOW = "fromTime=2026-03-02T09:00:00%2B01:00&toTime=2026-03-02T10:59:59%2B01:00"


def names(chance: Chance, targets=TARGETS) -> list[str]:
    return [chance.fault_of(target).name for target in targets]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        pytest.param(["teapot"], "no fault 'teapot'", id="name"),
        pytest.param(["500:0"], "'500:0' has no rate", id="zero"),
        pytest.param(["500:1.5"], "'500:1.5' has no rate", id="above one"),
        pytest.param(["500:often"], "'500:often' has no rate", id="word"),
        pytest.param(["500:nan"], "'500:nan' has no rate", id="nan"),
        pytest.param(["500:"], "'500:' has no rate", id="nothing"),
        pytest.param(["500:0.1", "500:0.2"], "500 is given twice", id="twice"),
        pytest.param(["html", "500:0.2"], "html always comes first", id="never"),
    ],
)
def test_a_fault_that_cannot_be_made_is_refused_and_the_names_are_listed(specs, said):
    with pytest.raises(ConfigError, match=r"429.*huge") as refused:
        Chance(specs)
    assert refused.value.code == "E_SANDBOX_FAULT"
    assert said in str(refused.value)


def test_without_a_rate_a_fault_comes_with_every_answer():
    assert set(names(Chance(["html"]))) == {"html"}


def test_a_rate_is_kept_within_chance():
    came = names(Chance(["500:0.1", "drop:0.5"]))
    assert 30 <= came.count("500") <= 70
    assert 190 <= came.count("drop") <= 260


def test_the_same_seed_gives_the_same_faults_whatever_is_asked_in_between():
    first = dict(zip(TARGETS, names(Chance(["500:0.3"], seed=7)), strict=True))
    backwards = TARGETS[::-1]
    second = dict(zip(backwards, names(Chance(["500:0.3"], seed=7), backwards), strict=True))
    other = dict(zip(TARGETS, names(Chance(["500:0.3"], seed=8)), strict=True))
    assert first == second != other


def test_a_question_that_is_asked_again_has_another_chance():
    assert set(names(Chance(["500:0.5"]), [b"/sales"] * 50)) == {"500", ""}


def get(api: PosApi, codes: str, token: str) -> tuple[int, list[str]]:
    connection = http.client.HTTPConnection("127.0.0.1", int(api.url.split(":")[2].split("/")[0]))
    try:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"/sales?{WINDOW}{codes}", headers=headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        return response.status, sorted({row["ext_ref_code"] for row in body if row != "error"})
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("token", "codes", "is_refused", "answer"),
    [
        pytest.param("all", "0001 0002", True, (200, ["0001", "0002"]), id="operator"),
        pytest.param("t1", "0001", True, (200, ["0001"]), id="own"),
        pytest.param("t1", "0001 0002", True, (403, []), id="foreign refused"),
        pytest.param("t1", "0001 0002", False, (200, ["0001"]), id="foreign left out"),
        pytest.param("t1", "0002", False, (200, []), id="only foreign left out"),
        pytest.param("t1", "0001 9999", True, (200, ["0001"]), id="code nobody has"),
        pytest.param("t3", "0001", True, (401, []), id="unknown token"),
    ],
)
def test_a_tenants_token_reads_its_own_codes_alone(token, codes, is_refused, answer):
    tenants = {"t1": {"0001"}, "t2": {"0002"}}
    asked = "".join(f"&ext_ref_codes={code}" for code in codes.split())
    with PosApi(ROWS, token="all", tenants=tenants, is_foreign_refused=is_refused) as api:
        assert get(api, asked, token) == answer


def test_every_fault_leaves_an_answer_of_no_rows_servable():
    for name, fault in NAMED.items():
        if callable(fault.body):
            assert json.loads(fault.body(b"[]")) in ([], {"data": []}), name
