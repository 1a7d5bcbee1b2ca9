"""dbt over small lakes on DuckDB, to compare with."""

from ..dbt.conftest import built, dbt

__all__ = ["built", "dbt"]
