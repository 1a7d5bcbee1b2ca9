"""A data home with published marts, and targets to publish them to."""

from pathlib import Path

from ksi_pipeline.durable import point_symlink
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.mart_files import MartFile, write_manifest

REPO = Path(__file__).resolve().parents[2]
TARGETS = """\
targets:
  - {id: bi, kind: files, path: out, formats: [csv], schedule: '20 * * * *'}
"""


def published_home(root: Path, batches, number: int = 1) -> None:
    """Publish batches as a build does: a folder of Parquet behind a link."""
    home = DataHome(root)
    (root / "spaces").mkdir(exist_ok=True)
    folder = home.published / f"marts-{number}"
    marts: dict[str, list[MartFile]] = {}
    for batch in batches:
        name = (
            f"{batch.part.mart}/business_month={batch.part.month}/part-{batch.content[:16]}.parquet"
        )
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(batch.path.read_bytes())
        file = MartFile(
            name, batch.part.month, batch.rows, path.stat().st_size, batch.content, None
        )
        marts.setdefault(batch.part.mart, []).append(file)
    write_manifest(folder, number, marts)
    point_symlink(home.current_marts, folder.name)
