"""Where everything lies under one data home.

spaces/<site>.yaml                    the user's space files
connectors.yaml                       the user's connectors
chunks/<site>/<camera>/<start>.mp4    video that cameras leave
deliveries/<site>/<camera>/<start>/   tracklets counted beside the camera, as Parquet
raw/tickets/<connector>/<day>/        answers exactly as a feed sent them, gzip
raw/spaces/<site>/<version>.yaml      every version of a space file that was counted with
lake/<dataset>/...                    immutable Parquet; the ledger says which files count
ledger.sqlite                         what was seen, done and published
warehouse/build.duckdb                private to the build
published/current.duckdb              what readers open; published/marts/<mart>.parquet beside
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL


@dataclass(frozen=True, slots=True)
class DataHome:
    """Paths under one folder; creates nothing by itself."""

    root: Path

    @property
    def spaces(self) -> Path:
        """Folder of space files."""
        return self.root / "spaces"

    @property
    def connectors(self) -> Path:
        """File of connectors."""
        return self.root / "connectors.yaml"

    @property
    def chunks(self) -> Path:
        """Inbox of video chunks."""
        return self.root / "chunks"

    @property
    def deliveries(self) -> Path:
        """Inbox of tracklets that were counted beside the camera."""
        return self.root / "deliveries"

    @property
    def raw_tickets(self) -> Path:
        """Immutable answers of ticket feeds."""
        return self.root / "raw" / "tickets"

    @property
    def raw_spaces(self) -> Path:
        """Every version of a space file that days were counted with."""
        return self.root / "raw" / "spaces"

    @property
    def lake(self) -> Path:
        """Immutable Parquet datasets."""
        return self.root / "lake"

    @property
    def ledger_url(self) -> URL:
        """SQLAlchemy URL of the default ledger."""
        return URL.create("sqlite", database=str(self.root / "ledger.sqlite"))

    @property
    def build_db(self) -> Path:
        """DuckDB file of the build: one writer, no readers."""
        return self.root / "warehouse" / "build.duckdb"

    @property
    def published(self) -> Path:
        """Folder that readers look into."""
        return self.root / "published"

    @property
    def current_db(self) -> Path:
        """Symlink to the newest published snapshot."""
        return self.published / "current.duckdb"

    @property
    def current_marts(self) -> Path:
        """Symlink to the newest folder of Parquet marts."""
        return self.published / "marts"
