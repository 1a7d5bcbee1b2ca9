"""People by any YOLO network that ultralytics runs: on a GPU in batches, on a CPU by OpenVINO.

It imports ultralytics, which is AGPL-3.0 and comes with the extra `vision` only; besides it only
`peer_tracker` does.

* With a CUDA device, a batch of frames goes through the network at once, in half precision.
* On a CPU, where openvino is installed, weights in torch's form (.pt) are exported to OpenVINO
  once, into `cache_dir()`, under the hash of their bytes, and OpenVINO runs them.
* Otherwise torch runs them on the CPU.

Nothing is downloaded and nothing is reported: ultralytics is told that it is offline before it is
imported. A .pt is a pickle, which can carry code; what is not plainly a network is refused.
"""

import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import BadZipFile

import numpy as np

from video_ingest.detectors.base import Boxes, Frame, Image
from video_ingest.detectors.layouts import PERSON, FloatArray, clean
from video_ingest.detectors.openvino import OpenVinoDetector, import_openvino
from video_ingest.detectors.weights_file import missing_package, the_file, wrong_shape

_WANTED = "Wanted: a detection network in ultralytics' form with a class 'person'"

# What ultralytics and torch raise on a file that is no network, seen with both; no common ancestor.
_UNREADABLE = (
    AttributeError,
    BadZipFile,
    EOFError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


class UltralyticsDetector:
    """Runs a YOLO network through ultralytics, or what ultralytics exported of it.

    Attributes:
        name: ends with where it runs: `cuda`, `cpu` (torch) or `openvino`.
        layout: what its output is, and the size of its input.
        why: how it runs, and for what reason.
    """

    prime_frames = 0

    def __init__(
        self,
        model_path: Path | None,
        *,
        min_confidence: float = 0.1,
        max_overlap: float = 0.6,
        may_export: bool = True,
    ) -> None:
        """Load a network.

        Args:
            model_path: a .pt file, the folder that holds one, or a folder that ultralytics exported
                (with its metadata.yaml).
            min_confidence: boxes below it are left out; low ones help the tracker over occlusions.
            max_overlap: of two boxes that share more than this (intersection over union) the less
                confident is left out.
            may_export: on a CPU, export to OpenVINO; else torch runs the network.

        Raises:
            DetectorError: E_DETECTOR_MISSING, E_MODEL_MISSING or E_MODEL_SHAPE.
        """
        path = _find(model_path)
        yolo = import_ultralytics().YOLO
        import torch

        self._min_confidence, self._max_overlap = min_confidence, max_overlap
        self._device = "cuda:0" if torch.cuda.is_available() else "cpu"
        self._exported: OpenVinoDetector | None = None
        self.why = f"torch runs it on {self._device}"
        device = self._device.partition(":")[0]
        if path.suffix == ".pt" and device == "cpu" and may_export:
            device, self.why = self._try_export(yolo, path)
        self.name = f"ultralytics:{path.stem}@{device}"
        self.layout = self._exported.layout if self._exported is not None else ""
        if self._exported is not None:
            return
        self._network = _load(yolo, path)
        self._person = _person(self._network, path)
        self.layout = f"ultralytics' own, {len(self._network.names)} classes"
        # The first call allocates memory; what is damaged inside shows here and not at night.
        try:
            self._predict([np.zeros((64, 64, 3), dtype=np.uint8)])
        except _UNREADABLE as error:
            why = f"ultralytics cannot run it ({said(error)})"
            raise wrong_shape("ultralytics", path, why, _WANTED) from error

    def prime(self, frames: Sequence[Image]) -> None:
        """Nothing to do: every frame is judged alone."""

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the people of each frame; see `Detector.detect`."""
        if self._exported is not None:
            return self._exported.detect(frames)
        found: list[Boxes] = []
        # Pictures of several sizes in one batch would get other margins than each alone.
        for _, alike in groupby(frames, key=lambda frame: frame.image.shape):
            found += self._predict([frame.image for frame in alike])
        return found

    def _predict(self, images: list[Image]) -> list[Boxes]:
        results = self._network.predict(
            images,
            conf=self._min_confidence,
            iou=self._max_overlap,
            classes=[self._person],
            device=self._device,
            batch=len(images),
            quantize=16 if self._device != "cpu" else None,
            save=False,
            verbose=False,
        )
        return [
            clean(_people(result), image, max_overlap=None)
            for result, image in zip(results, images, strict=True)
        ]

    def _try_export(self, yolo: Any, path: Path) -> tuple[str, str]:
        """Where the network runs on this CPU, and why; sets `_exported` when by OpenVINO."""
        if find_spec("openvino") is None:
            return "cpu", "torch runs it on the CPU: openvino, which is quicker, is not installed"
        try:
            xml = exported(yolo, path)
        except OSError as error:
            why = f"the export to OpenVINO cannot be kept in {cache_dir()} ({error.strerror})"
            return "cpu", f"torch runs it on the CPU: {why}"
        self._exported = OpenVinoDetector(
            xml, min_confidence=self._min_confidence, max_overlap=self._max_overlap
        )
        return "openvino", f"OpenVINO runs it on the CPU, exported to {xml.parent}"


def import_ultralytics() -> ModuleType:
    """Import ultralytics so that it neither asks the network, nor installs, nor reports.

    Raises:
        DetectorError: E_DETECTOR_MISSING, ultralytics or torch is not installed or does not load.
    """
    # pip at run time, analytics, and looking for newer versions; read once, at import.
    os.environ["YOLO_AUTOINSTALL"] = "0"
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_VERBOSE"] = "0"
    # Whoever trusts weights with classes of their own may set it to 0.
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_dir() / "ultralytics"))
    try:
        import torch  # noqa: F401

        _stand_in_for_torchvision()
        import ultralytics
    except ImportError as error:
        raise missing_package("ultralytics", "vision", error) from error
    return ultralytics  # type: ignore[no-any-return]


def cache_dir() -> Path:
    """Where exports are kept: `ksi_pipeline` in XDG_CACHE_HOME, which is ~/.cache by default.

    May be deleted at any time; what is missing is exported again.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path("~/.cache").expanduser()) / "ksi_pipeline"


def exported(yolo: Any, path: Path) -> Path:
    """The OpenVINO form of .pt weights: from the cache, or exported into it now.

    The folder is named by the hash of the weights and appears under its name when it is whole, so
    that a run that was killed leaves nothing half done and two runs at once do no harm.

    Raises:
        DetectorError: E_MODEL_SHAPE, the weights cannot be read or are no detection network.
        OSError: the cache cannot be written.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    kept = cache_dir() / "openvino" / digest[:16]
    xml = kept / f"{path.stem}.xml"
    if xml.is_file():
        return xml
    _person(_load(yolo, path), path)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".export-") as folder:
        # The export is written beside the weights, whose folder may be read-only.
        network = _load(yolo, Path(shutil.copy(path, folder)))
        # Its own import would report to Google Analytics.
        import_openvino()
        try:
            with warnings.catch_warnings():
                # Tracing warns of its own future, which nobody here can change.
                warnings.simplefilter("ignore")
                made = Path(network.export(format="openvino", device="cpu", verbose=False))
        except _UNREADABLE as error:
            why = f"ultralytics cannot export it ({said(error)})"
            raise wrong_shape("ultralytics", path, why, _WANTED) from error
        shutil.rmtree(kept, ignore_errors=True)
        made.rename(kept)
    return xml


def _find(model_path: Path | None) -> Path:
    """The .pt file, or the folder that ultralytics exported."""
    if model_path is not None and (model_path / "metadata.yaml").is_file():
        return model_path
    return the_file("ultralytics", model_path, ".pt")


def _load(yolo: Any, path: Path) -> Any:
    if path.is_dir():
        # Ultralytics would import it with its telemetry.
        import_openvino()
    try:
        network = yolo(path, task="detect" if path.is_dir() else None)
    except _UNREADABLE as error:
        why = f"ultralytics cannot read it ({said(error)})"
        raise wrong_shape("ultralytics", path, why, _WANTED) from error
    if network.task != "detect":
        found = f"it is a network for the task {network.task!r}"
        raise wrong_shape("ultralytics", path, found, _WANTED)
    return network


def _person(network: Any, path: Path) -> int:
    try:
        names = network.names
    except _UNREADABLE as error:
        why = f"ultralytics cannot read it ({said(error)})"
        raise wrong_shape("ultralytics", path, why, _WANTED) from error
    if all(str(name).isdigit() for name in names.values()):
        return 0
    for number, name in names.items():
        if name == PERSON:
            return int(number)
    found = f"its classes are {', '.join(list(names.values())[:5])} ..."
    raise wrong_shape("ultralytics", path, found, _WANTED)


def said(error: Exception) -> str:
    """What ultralytics said first; the rest is advice to use other weights of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first.removeprefix("ERROR").strip(" ❌\ufe0f.")


def _people(result: Any) -> FloatArray:
    """Boxes of one result, shape (n, 5), in pixels of its picture."""
    boxes = result.boxes
    corners, scores = boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy()
    return np.column_stack([corners, scores]).astype(np.float64)


def _stand_in_for_torchvision() -> None:
    """Give ultralytics the one function of torchvision that it calls, where torchvision is broken.

    A torchvision that was built for another torch raises when it is imported, and ultralytics with
    it; its NMS exists in ultralytics too. One that works is left alone.
    """
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        module, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
        module.__spec__ = ModuleSpec("torchvision", None)
        module.__path__ = []
        vars(module).update(__version__="0.0.0", ops=ops)
        vars(ops).update(nms=_nms)
        sys.modules.update({"torchvision": module, "torchvision.ops": ops})


def _nms(boxes: Any, scores: Any, max_overlap: float) -> Any:
    from ultralytics.utils.nms import TorchNMS

    return TorchNMS.nms(boxes, scores, max_overlap)
