"""Detectors by name; each is imported only when asked for, so that none is a must."""

from pathlib import Path

from video_ingest.contract import DetectorError
from video_ingest.detectors.base import Boxes, Detector, Frame

DETECTORS = ("motion", "openvino", "onnx", "ultralytics", "auto")

__all__ = ["DETECTORS", "Boxes", "Detector", "Frame", "make_detector", "require_use"]


def require_use(name: str, model_path: Path | None) -> None:
    """Refuse weights that were named for a detector that takes none.

    Raises:
        DetectorError: E_MODEL_UNUSED.
    """
    if name == "motion" and model_path is not None:
        raise DetectorError(
            f"Starting detector 'motion' with the weights {model_path} failed: it uses none. "
            "Nothing was decoded. Name the detector that runs them with --detector, or auto, or "
            "leave --model out.",
            code="E_MODEL_UNUSED",
        )


def make_detector(
    name: str, model_path: Path | None = None, weights_dir: Path | None = None
) -> Detector:
    """Build a detector.

    Args:
        name: one of DETECTORS; `auto.choose` tells what `auto` is, and why.
        model_path: weights, for detectors that need them; `motion` needs none.
        weights_dir: folder in which `auto` looks for weights.

    Raises:
        DetectorError: E_DETECTOR_UNKNOWN, E_DETECTOR_MISSING (package not installed),
            E_MODEL_MISSING or E_MODEL_SHAPE (weights are not there, or not of a known layout).
    """
    if name == "motion":
        from video_ingest.detectors.motion import MotionDetector

        return MotionDetector()
    if name == "openvino":
        from video_ingest.detectors.openvino import OpenVinoDetector

        return OpenVinoDetector(model_path)
    if name == "onnx":
        from video_ingest.detectors.onnx import OnnxDetector

        return OnnxDetector(model_path)
    if name == "ultralytics":
        from video_ingest.detectors.ultralytics import UltralyticsDetector

        return UltralyticsDetector(model_path)
    if name == "auto":
        from video_ingest.detectors.auto import choose

        choice = choose(name, model_path, weights_dir)
        return make_detector(choice.detector, choice.model)
    raise DetectorError(
        f"Starting detector {name!r} failed: there is none of that name. Nothing was decoded. "
        f"Choose one of {', '.join(DETECTORS)}.",
        code="E_DETECTOR_UNKNOWN",
    )
