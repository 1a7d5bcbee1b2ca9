"""The models compile with the adapters of warehouses that are not run here."""

import subprocess
from pathlib import Path

import pytest
import sqlglot
from sqlglot.tokens import TokenType

from .engines import PROJECT, environment
from .sql import unportable

pytestmark = [pytest.mark.adapters, pytest.mark.slow]
TARGETS = ("snowflake", "bigquery", "redshift")


@pytest.fixture(scope="module", params=TARGETS)
def compiled(request, tmp_path_factory):
    """The target, and the SQL of each model and data test as its adapter writes it, by file."""
    target = request.param
    folder = tmp_path_factory.mktemp(target)
    script = Path(__file__).with_name("compile_alone.py")
    run = subprocess.run(
        [environment("compile"), script, target, PROJECT, folder],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    texts = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("compiled/**/*.sql")}
    models = [p.relative_to(PROJECT) for p in (PROJECT / "models").rglob("*.sql")]
    assert {f"full/compiled/ksi/{path}" for path in models} < set(texts)
    mart = "compiled/ksi/models/marts/fct_traffic_hourly.sql"
    assert "as changed" in texts[f"incremental/{mart}"]
    assert "as changed" not in texts[f"full/{mart}"]
    return target, texts


def test_each_model_parses_in_the_dialect_and_uses_what_all_engines_share(compiled):
    target, texts = compiled
    found = {name: unportable(sql, target) for name, sql in texts.items()}
    assert {name: what for name, what in found.items() if what} == {}
    if target == "bigquery":
        for name, sql in texts.items():
            kinds = {token.token_type for token in sqlglot.tokenize(sql, read=target)}
            assert TokenType.DCOLON not in kinds, name


def test_a_tenants_part_is_reckoned_in_a_type_that_has_its_ten_decimals(compiled):
    target, texts = compiled
    kind = "bignumeric" if target == "bigquery" else "decimal(28, 4)"
    sql = texts["full/compiled/ksi/models/intermediate/int_tenant_months.sql"]
    for amount in ("sales.net_sales", "conversion.net_sales"):
        assert f"cast({amount} as {kind}) * tenant_days.unit_share" in sql
