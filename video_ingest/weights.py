"""Weights that detectors can use: which are known, which lie in a folder, and whether they work.

Nothing here goes to the network but `fetch`, which is called only when somebody asks for it.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video_ingest.contract import DetectorError
from video_ingest.detectors import make_detector
from video_ingest.detectors.base import Frame

ULTRALYTICS = "Ultralytics"
MODEL_ZOO = "the Open Model Zoo of OpenVINO"
YOLOX = "the releases of Megvii-BaseDetection/YOLOX"

# A network may take a black picture for a person at a tenth; more is damage.
_SURE = 0.5
_YOLO_SIZES = "nsmlx"
_AGPL = (
    "AGPL-3.0: who passes on software with these weights, or lets others use it over a network, "
    "owes those users the source of the whole work, or needs a licence from Ultralytics"
)
_APACHE = "Apache-2.0: free to use and pass on; keep the licence text with it"
_UNKNOWN = "not known: ask whoever made these weights"
# By how the file ends; a folder that ultralytics exported is found by the .xml in it.
_DETECTORS = {".xml": "openvino", ".onnx": "onnx", ".pt": "ultralytics"}


@dataclass(frozen=True, slots=True)
class Family:
    """Weights that are published together.

    Attributes:
        names: stems of their files, the smallest and quickest first.
        licence: its name and what it asks for, in a sentence.
        origin: where they come from.
        can_fetch: whether `fetch` can get them.
    """

    title: str
    names: tuple[str, ...]
    licence: str
    origin: str
    can_fetch: bool


def _yolo(title: str, stem: str) -> Family:
    names = tuple(f"{stem}{size}" for size in _YOLO_SIZES)
    return Family(title, names, _AGPL, ULTRALYTICS, can_fetch=True)


FAMILIES = (
    _yolo("YOLO11", "yolo11"),
    _yolo("YOLO26", "yolo26"),
    _yolo("YOLOv8", "yolov8"),
    Family(
        "person-detection-retail-0013",
        ("person-detection-retail-0013",),
        _APACHE,
        MODEL_ZOO,
        can_fetch=False,
    ),
    Family(
        "YOLOX",
        tuple(f"yolox_{size}" for size in ("nano", "tiny", "s", "m", "l", "x")),
        _APACHE,
        YOLOX,
        can_fetch=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Weights that lie in a folder.

    Attributes:
        name: stem of the file.
        path: what to give to a detector.
        detector: the detector that runs them.
        family: None for weights that are not known by name.
    """

    name: str
    path: Path
    detector: str
    family: Family | None

    @property
    def licence(self) -> str:
        """What the weights may be used for, as far as their name tells."""
        return self.family.licence if self.family else _UNKNOWN


@dataclass(frozen=True, slots=True)
class Checked:
    """What a try of weights gave.

    Attributes:
        layout: of the network; None where it did not load.
        code: of the error; None when the weights work.
        message: of the error; None when the weights work.
    """

    found: Found
    layout: str | None
    code: str | None
    message: str | None


def find_weights(folder: Path | None) -> list[Found]:
    """List the weights in a folder and the folders in it, by family, name and path.

    Weights that are not known by name come last. A folder that is not there holds none.
    """
    return sorted(_find(folder) if folder else (), key=_place)


def check(found: Found) -> Checked:
    """Load weights and run one blank frame through them.

    An error is part of the result: E_DETECTOR_MISSING where their package is not installed,
    E_MODEL_MISSING or E_MODEL_SHAPE where they are of no use.
    """
    blank = Frame(0, np.full((480, 640, 3), 127, dtype=np.uint8))
    try:
        detector = make_detector(found.detector, found.path)
        detector.prime([])
        (boxes,) = detector.detect([blank])
    except DetectorError as error:
        return Checked(found, None, error.code, str(error))
    layout = str(getattr(detector, "layout", ""))
    if (boxes[:, 4] >= _SURE).any():
        why = f"{found.path.name} finds {len(boxes)} people in an empty picture"
        message = f"Checking weights failed: {why}. They are damaged, or made for something else."
        return Checked(found, layout, "E_MODEL_SHAPE", message)
    return Checked(found, layout, None, None)


def fetch(name: str, folder: Path) -> Path:
    """Download weights through ultralytics into a folder; does nothing when they lie there.

    Raises:
        DetectorError: E_MODEL_UNKNOWN, no such weights, or they are not to be had this way;
            E_DETECTOR_MISSING, ultralytics is not installed; E_MODEL_FETCH, there is no network,
            or the download failed.
        OSError: the folder cannot be written.
    """
    stem = name.removesuffix(".pt")
    family = next((each for each in FAMILIES if stem in each.names), None)
    if family is None or not family.can_fetch:
        known = ", ".join(f"{each.names[0]} to {each.names[-1]}" for each in FAMILIES[:3])
        why = f"they come from {family.origin}" if family else "there are none of that name"
        raise DetectorError(
            f"Fetching weights {name!r} failed: {why}. Nothing was downloaded. To be had through "
            f"ultralytics are {known}; put others into {folder} yourself.",
            code="E_MODEL_UNKNOWN",
        )
    path = folder / f"{stem}.pt"
    if not path.is_file():
        _download(path)
    return path


def _download(path: Path) -> None:
    from video_ingest.detectors.ultralytics import import_ultralytics, said

    import_ultralytics()
    path.parent.mkdir(parents=True, exist_ok=True)
    from ultralytics.utils.downloads import attempt_download_asset

    # Told that it is offline, ultralytics downloads all the same when it is asked to, and gives up
    # at the first failure.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".get-") as folder:
        part = Path(folder) / path.name
        try:
            attempt_download_asset(part, progress=sys.stderr.isatty(), retry=1)
        except (OSError, RuntimeError, MemoryError) as error:
            raise _not_fetched(path, said(error)) from error
        if not part.is_file():
            raise _not_fetched(path, "the download gave no file")
        part.rename(path)


def _not_fetched(path: Path, why: str) -> DetectorError:
    return DetectorError(
        f"Fetching weights {path.stem!r} failed: {why.rstrip('.')}. Nothing was kept. Is there a "
        f"network, and may this machine reach GitHub? Else download {path.name} elsewhere and copy "
        f"it to {path}.",
        code="E_MODEL_FETCH",
    )


def _find(folder: Path) -> Iterator[Found]:
    for path in folder.rglob("*"):
        detector = _DETECTORS.get(path.suffix.lower())
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if detector and not hidden and path.is_file():
            yield Found(path.stem, path, detector, _family(path.stem))


def _family(stem: str) -> Family | None:
    return next((family for family in FAMILIES if stem in family.names), None)


def _place(found: Found) -> tuple[int, int, str]:
    if found.family is None:
        return len(FAMILIES), 0, str(found.path)
    return FAMILIES.index(found.family), found.family.names.index(found.name), str(found.path)
