"""Everything a step needs, made once by definitions.py from the settings and passed in."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ksi_pipeline.core.benchmarks import BenchmarkRules
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.progress import Progress, no_progress
from ksi_pipeline.space.load import Space, check_together, load_space
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store


def now_utc() -> datetime:
    """Read the wall clock; steps take it as a value, so that tests can set it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How chunks are turned into tracklets.

    Attributes:
        detector: motion, openvino, onnx, ultralytics or auto.
        model: weights of the detector; None for motion.
        sample_hz: frames looked at for each second of video.
        workers: cameras that are worked on at once, each in a process of its own; 1 for one after
            the other, in this process.
        weights_dir: folder in which auto looks for weights; None for none.
        crop: whether detectors see only what zones and lines need.
    """

    detector: str = "motion"
    model: Path | None = None
    sample_hz: float = 5.0
    workers: int = 1
    weights_dir: Path | None = None
    crop: bool = False


@dataclass(slots=True)
class Workspace:
    """One data home with its ledger, and how to work on it.

    Attributes:
        secrets: gives the value of a secret by its name, or None; the only way to a token.
        benchmarks: what may be shown of tenants to other tenants.
        final_after: how long after its end an hour of tickets can still change.
        data_tests: whether a build also runs the data tests of the models, which read whole marts.
        progress: told what is being done and which share of it, between 0 and 1.
    """

    store: Store
    dbt_project_dir: Path
    secrets: Callable[[str], str | None]
    video: VideoSettings = field(default_factory=VideoSettings)
    benchmarks: BenchmarkRules = field(default_factory=BenchmarkRules)
    clock: Callable[[], datetime] = now_utc
    final_after: timedelta = timedelta(hours=72)
    memory_limit: str = "4GB"
    dbt_threads: int = 2
    data_tests: bool = True
    progress: Progress = no_progress

    @property
    def home(self) -> DataHome:
        """Paths of the data home."""
        return self.store.home

    def spaces(self) -> list[Space]:
        """Load every space file, ordered by site.

        Raises:
            ConfigError: naming all that is wrong in all files, or two files describe one site or
                claim one code.
        """
        files = [p for suffix in ("*.yaml", "*.yml") for p in self.home.spaces.glob(suffix)]
        spaces, wrong = [], []
        for path in sorted(files):
            try:
                spaces.append(load_space(path))
            except ConfigError as error:
                wrong.append(error)
        if wrong:
            raise ConfigError("\n".join(map(str, wrong)), code=wrong[0].code) from wrong[0]
        check_together(spaces)
        return sorted(spaces, key=lambda space: space.site_id)


def digest(*parts: object) -> str:
    """Hash what a step depends on, so that it is done again only when that changes."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
