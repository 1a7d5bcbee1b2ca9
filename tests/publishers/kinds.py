"""A place of every kind of target, and the servers that they need."""

from .bigquery_place import BigqueryPlace
from .kafka_place import KafkaPlace
from .places import DuckdbPlace, FilesPlace, PostgresPlace
from .redshift_place import RedshiftPlace
from .snowflake_place import SnowflakePlace

PLACES = {
    "files": FilesPlace,
    "duckdb": DuckdbPlace,
    "postgres": PostgresPlace,
    "snowflake": SnowflakePlace,
    "bigquery": BigqueryPlace,
    "redshift": RedshiftPlace,
    "kafka": KafkaPlace,
}
# fixtures of the servers have the names of the kinds
SERVERS = {"postgres", "snowflake", "bigquery", "redshift", "kafka"}
# servers that only stand in for what is meant
STAND_INS = {"snowflake", "bigquery", "redshift", "kafka"}
