"""Where everything lies under one data home.

spaces/<site>.yaml                    the user's space files
connectors.yaml                       the user's connectors
campaigns.yaml                        the user's campaigns, if there are any
metrics.yaml                          how the marts count, where it is not as shipped
targets.yaml                          where marts are published to, if anywhere
chunks/<site>/<camera>/<start>.mp4    video that cameras leave
deliveries/<site>/<camera>/<start>/   tracklets counted beside the camera, as Parquet
drops/<connector>/                    ticket files that tills and ERPs leave
mappings/<name>.yaml                  the user's mappings of ticket files
raw/tickets/<connector>/<day>/        answers exactly as a feed sent them, gzip
raw/tickets/<connector>/files/        ticket files exactly as they came, zstd or as packed
raw/spaces/<site>/<version>.yaml      every version of a space file that was counted with
lake/<dataset>/...                    immutable Parquet; the ledger says which files count
ledger.sqlite                         what was seen, done and published
warehouse/build.duckdb                private to the build
published/current.duckdb              what readers open
targets/<target>.lock                 keeps a second publisher waiting, where the target has none
published/marts/                      the same tables as Parquet: <mart>.parquet, or in months
                                      <mart>/business_month=<month>/part-<hash>.parquet
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from ksi_pipeline.core.errors import ConfigError

_NOT_IN_PATHS = set("?#\\")


@dataclass(frozen=True, slots=True)
class DataHome:
    """Paths under one folder; creates nothing by itself."""

    root: Path

    def require_usable(self) -> None:
        """Refuse a path that can be no data home.

        Raises:
            ConfigError: E_DATA_HOME, the path is a file, or has a character that Dagster, dbt or
                DuckDB read as something else.
        """
        problem = None
        if self.root.exists() and not self.root.is_dir():
            problem = "it is a file"
        elif taken := sorted(set(str(self.root)) & _NOT_IN_PATHS):
            problem = f"its path has the character {' and '.join(taken)}"
        if problem:
            raise ConfigError(
                f"{self.root} cannot be a data home: {problem}. Nothing was done. Name another "
                "folder with --dir or KSI_DATA_DIR.",
                code="E_DATA_HOME",
            )

    def require_described(self) -> None:
        """Refuse a folder in which nobody described a site: most likely it is mistyped.

        Raises:
            ConfigError: E_DATA_HOME, the folder has no folder `spaces`.
        """
        if not self.spaces.is_dir():
            raise ConfigError(
                f"{self.root} is no data home yet: it has no folder spaces/. Nothing was done. "
                "Correct the path (--dir or KSI_DATA_DIR), or describe a site in "
                f"{self.spaces}/<site>.yaml first.",
                code="E_DATA_HOME",
            )

    @property
    def spaces(self) -> Path:
        """Folder of space files."""
        return self.root / "spaces"

    @property
    def connectors(self) -> Path:
        """File of connectors."""
        return self.root / "connectors.yaml"

    @property
    def campaigns(self) -> Path:
        """File of campaigns."""
        return self.root / "campaigns.yaml"

    @property
    def metrics(self) -> Path:
        """File of what marts are to count otherwise than shipped."""
        return self.root / "metrics.yaml"

    @property
    def targets(self) -> Path:
        """File of targets."""
        return self.root / "targets.yaml"

    @property
    def chunks(self) -> Path:
        """Inbox of video chunks."""
        return self.root / "chunks"

    @property
    def deliveries(self) -> Path:
        """Inbox of tracklets that were counted beside the camera."""
        return self.root / "deliveries"

    @property
    def drops(self) -> Path:
        """Inboxes of ticket files, one folder for each connector."""
        return self.root / "drops"

    @property
    def mappings(self) -> Path:
        """Folder of mappings of ticket files."""
        return self.root / "mappings"

    def mapping(self, name: str) -> Path:
        """Where the mapping of a name lies."""
        return self.mappings / f"{name}.yaml"

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
