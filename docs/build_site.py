"""Writes the models as a site of one HTML file, which needs no server and no network.

It has every model with its columns, their types, tests and SQL, and the graph of what is made of
what. dbt makes it from a built data home, which is copied first, so that a run may go on meanwhile.
What dbt notes of the machine and of the invocation is taken out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = REPOSITORY / "dbt_project"
PAGE = REPOSITORY / "build" / "site" / "index.html"

_OF_THE_INVOCATION = re.compile(
    r'"(invocation_id|user_id|invocation_started_at|run_started_at|project_id)": ?"[^"]*"'
)


def without_machine(text: str, folders: list[Path]) -> str:
    """Give dbt's page without where and by which invocation it was made.

    Raises:
        ValueError: one of the folders is still named.
    """
    text = _OF_THE_INVOCATION.sub(r'"\1": null', text)
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    left = [str(folder) for folder in [*folders, Path.home()] if f"{folder}/" in text]
    if left:
        raise ValueError(f"The page names {', '.join(left)}; it was not written.")
    return text


def main(build_db: Path) -> None:
    """Write the site from the build database of a data home."""
    if not build_db.exists():
        sys.exit(f"{build_db} is not there, so types are not known. Run `ksi demo` or `ksi run`.")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        shutil.copy(build_db, work / build_db.name)
        told = {
            "KSI_BUILD_DB": str(work / build_db.name),
            "KSI_DUCKDB_TEMP_DIRECTORY": str(work / "spill"),
            "DBT_PROFILES_DIR": str(PROJECT),
            "DO_NOT_TRACK": "1",
        }
        dbt = str(Path(sys.executable).with_name("dbt"))
        folders = ["--target-path", str(work), "--log-path", str(work)]
        subprocess.run(
            [dbt, "--quiet", "docs", "generate", "--static", *folders],
            cwd=PROJECT,
            env={**os.environ, **told},
            check=True,
        )
        text = (work / "static_index.html").read_text(encoding="utf-8")
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(without_machine(text, [work, REPOSITORY]), encoding="utf-8")
    print(f"The models are described in {PAGE}; open it in a browser.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
