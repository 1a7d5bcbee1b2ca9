"""Run by Spark's own Python: load a lake, let dbt build it, write the marts as Parquet.

python spark_build.py DBT_PROJECT FOLDER LAKE MARTS; tables stay in FOLDER. LAKE has
one Parquet file for each table. In one process, because a session takes long to start.
"""

import os
import sys
from pathlib import Path

from dbt.cli.main import dbtRunner
from pyspark.sql import SparkSession


def main(project: str, folder: Path, lake: Path, marts: Path) -> int:
    """Give 0 when every model was built and every data test passed."""
    os.chdir(folder)
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        # small queries: compiling them takes longer than running them
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
    }
    # dbt asks for Hive, and takes the session that is there, whose catalog is in memory
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.sql("create schema if not exists lake")
    for file in sorted(lake.glob("*.parquet")):
        table = spark.read.parquet(str(file))
        table.write.mode("overwrite").format("parquet").saveAsTable(f"lake.{file.stem}")
    result = dbtRunner().invoke(
        [
            *("build", "--exclude-resource-type", "unit_test", "--target", "spark"),
            *("--project-dir", project, "--profiles-dir", project),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
        ]
    )
    if not result.success:
        return 1
    for row in spark.sql("show tables in marts").collect():
        table = spark.table(f"marts.{row.tableName}")
        table.coalesce(1).write.mode("overwrite").parquet(str(marts / row.tableName))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(Path, sys.argv[2:5])))
