"""Every version of a space file that days were counted with, kept to be counted with again."""

from ksi_pipeline.space.load import Space, load_space
from ksi_pipeline.store.files import write_atomically
from ksi_pipeline.store.layout import DataHome


def keep_space_file(home: DataHome, space: Space) -> None:
    """Keep the file's bytes under its version; nothing happens when they are kept already."""
    path = home.raw_spaces / space.site_id / f"{space.version}.yaml"
    if not path.exists():
        write_atomically(path, lambda temporary: temporary.write_bytes(space.content))


def kept_space(home: DataHome, site_id: str, version: str) -> Space | None:
    """Load a kept version of a site's space file; None when it is not there.

    Raises:
        ConfigError: E_SPACE, the file was valid when it was kept and no longer is.
    """
    path = home.raw_spaces / site_id / f"{version}.yaml"
    return load_space(path) if path.exists() else None


def kept_versions(home: DataHome) -> dict[str, list[str]]:
    """Give the versions kept of each site's space file, the first one kept first."""
    paths = sorted(home.raw_spaces.glob("*/*.yaml"), key=lambda path: path.stat().st_mtime_ns)
    versions: dict[str, list[str]] = {}
    for path in paths:
        versions.setdefault(path.parent.name, []).append(path.stem)
    return versions
