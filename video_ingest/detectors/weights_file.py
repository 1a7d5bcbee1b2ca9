"""Finding the file with the weights, and the errors that say what is wrong with it."""

from pathlib import Path

from video_ingest.contract import DetectorError
from video_ingest.detectors.layouts import WANTED

_OR_MOTION = "or use the detector 'motion', which needs no weights"


def the_file(detector: str, model_path: Path | None, suffix: str) -> Path:
    """The one file of weights that was named, itself or by its folder.

    Raises:
        DetectorError: E_MODEL_MISSING: none was named, it is not there, or a folder does not hold
            exactly one; E_MODEL_SHAPE: it is of another kind.
    """
    if model_path is None:
        raise missing(detector, "no weights were named", "Name them with --model")
    if model_path.is_dir():
        found = sorted(model_path.glob(f"*{suffix}"))
        if len(found) != 1:
            raise missing(
                detector,
                f"{model_path} holds {len(found)} {suffix} files and must hold one",
                f"Name the {suffix} file itself",
            )
        model_path = found[0]
    if not model_path.is_file():
        raise missing(detector, f"{model_path} does not exist", "Correct the path")
    if model_path.suffix.lower() != suffix:
        raise wrong_shape(detector, model_path, f"it is no {suffix} file", f"Wanted: a {suffix}")
    return model_path


def missing(detector: str, why: str, advice: str) -> DetectorError:
    """The error for weights that are not there."""
    return DetectorError(
        f"Starting detector {detector!r} failed: {why}. Nothing was decoded. {advice}, "
        f"{_OR_MOTION}.",
        code="E_MODEL_MISSING",
    )


def wrong_shape(detector: str, path: Path, found: str, wanted: str = WANTED) -> DetectorError:
    """The error for weights that are damaged or of a layout that is not known."""
    return DetectorError(
        f"Starting detector {detector!r} with {path.name} failed: {found}. Nothing was decoded. "
        f"{wanted}. Use such weights, {_OR_MOTION}.",
        code="E_MODEL_SHAPE",
    )


def missing_package(detector: str, extra: str, error: ImportError) -> DetectorError:
    """The error for a package that is not installed, or does not load."""
    return DetectorError(
        f"Starting detector {detector!r} failed: its package cannot be imported ({error}). "
        f"Nothing was decoded. Run: pip install 'ksi_pipeline[{extra}]', or use the detector "
        "'motion', which needs no package.",
        code="E_DETECTOR_MISSING",
    )


def last_line(error: Exception) -> str:
    """What a package said last; the lines before it are where in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".")
