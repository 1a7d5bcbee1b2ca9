"""Run by Python of .services/spark: load a lake, let dbt build it, write the marts as Parquet.

python spark_build.py DBT_PROJECT FOLDER DBT_ARGUMENT... . FOLDER/lake has one Parquet file for each
table of schema lake, and FOLDER/marts gets one folder for each mart. In one process, because the
session holds the tables, and takes long to start.
"""

import os
import sys
from pathlib import Path

from dbt.cli.main import dbtRunner
from pyspark.sql import SparkSession

# an incremental mart, a table, and a table that marts read: in the comparison each has to be there
# once, as it was
AGAIN = ["run", "--select", "dim_hour", "dim_site", "int_site_hours"]


def main(project: str, folder: Path, arguments: list[str]) -> int:
    """Give 0 when every model was built, some again, and every data test passed."""
    os.chdir(folder)
    spark = session(folder)
    spark.sql("create schema if not exists lake")
    for file in sorted((folder / "lake").glob("*.parquet")):
        # read here, so that no later query lists files
        spark.read.parquet(str(file)).write.mode("overwrite").saveAsTable(f"lake.{file.stem}")
    flags = ["--target", "spark", "--project-dir", project, "--profiles-dir", project]
    flags += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    for command in (arguments, AGAIN):
        result = dbtRunner().invoke([*command, *flags])
        if not result.success:
            print(result.exception)
            return 1
    for row in spark.sql("show tables in marts").collect():
        mart = spark.table(f"marts.{row.tableName}")
        mart.coalesce(1).write.parquet(str(folder / "marts" / row.tableName))
    return 0


def session(folder: Path) -> SparkSession:
    """The session that dbt finds: its catalog is in memory, its tables are in the folder."""
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "2g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        # small queries: compiling them, to bytecode and from there, takes longer than running them
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
    }
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
