"""People by a neural network in ONNX form, through onnxruntime; runs on any CPU, without torch.

Made for YOLOX, whose weights are Apache-2.0; the other layouts are read as well. Each frame goes
through the network alone and on one core, so the boxes do not depend on how frames are batched; on
several cores several frames of a batch are looked at at once.
"""

import ast
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_ingest.detectors.base import Boxes, Frame, Image
from video_ingest.detectors.layouts import Layout, boxes_of, layout_of
from video_ingest.detectors.weights_file import last_line, missing_package, the_file, wrong_shape


class OnnxDetector:
    """Runs an ONNX model on the CPU, one frame on each core.

    Attributes:
        layout: what its output is, and the size of its input.
    """

    prime_frames = 0

    def __init__(
        self, model_path: Path | None, *, min_confidence: float = 0.1, max_overlap: float = 0.6
    ) -> None:
        """Load a model.

        Args:
            model_path: the .onnx file, or the folder that holds it.
            min_confidence: boxes below it are left out; low ones help the tracker over occlusions.
            max_overlap: of two boxes that share more than this (intersection over union) the less
                confident is left out, where the layout gives several boxes for one person.

        Raises:
            DetectorError: E_DETECTOR_MISSING, E_MODEL_MISSING or E_MODEL_SHAPE.
        """
        path = the_file("onnx", model_path, ".onnx")
        onnxruntime = _import_onnxruntime()
        self.name = f"onnx:{path.stem}"
        self._min_confidence, self._max_overlap = min_confidence, max_overlap
        self._session = _open(onnxruntime, path)
        self._layout = _layout(self._session, path)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self.layout = f"{self._layout.title}, {self._layout.width} x {self._layout.height}"
        self._cores = ThreadPoolExecutor(_core_count(), thread_name_prefix="onnx")

    def prime(self, frames: Sequence[Image]) -> None:
        """Nothing to do: every frame is judged alone."""

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the people of each frame; see `Detector.detect`."""
        return list(self._cores.map(self._detect, frames))

    def _detect(self, frame: Frame) -> Boxes:
        picture = self._layout.fit(frame.image)
        (output,) = self._session.run([self._output], {self._input: self._tensor(picture)})
        layout, image = self._layout, frame.image
        return boxes_of(layout, output, image, self._min_confidence, self._max_overlap)

    def _tensor(self, picture: Image) -> NDArray[np.float32]:
        """The picture as the network takes it, shape [1, 3, height, width]."""
        if self._layout.is_rgb_unit:
            values = picture[:, :, ::-1].astype(np.float32) / np.float32(255.0)
        else:
            values = picture.astype(np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def _import_onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_package("onnx", "onnx", error) from error
    # Errors come as exceptions; warnings are about the network's inside, which nobody can change.
    onnxruntime.set_default_logger_severity(4)
    onnxruntime.disable_telemetry_events()
    return onnxruntime  # type: ignore[no-any-return]


def _open(onnxruntime: ModuleType, path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    # One frame on one core is quicker than one frame on all: cores need not wait for each other.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _errors(onnxruntime) as error:
        why = f"onnxruntime cannot read it ({last_line(error)})"
        raise wrong_shape("onnx", path, why) from error


def _errors(onnxruntime: ModuleType) -> tuple[type[Exception], ...]:
    """What opening a file can raise; onnxruntime (1.31) gives its errors no common ancestor."""
    told = onnxruntime.capi.onnxruntime_pybind11_state
    kinds = [value for value in vars(told).values() if isinstance(value, type)]
    return (RuntimeError, *(kind for kind in kinds if issubclass(kind, Exception)))


def _layout(session: Any, path: Path) -> Layout:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    labels = _labels(session.get_modelmeta().custom_metadata_map.get("names"))
    layout = None
    if len(inputs) == 1 and outputs and inputs[0].type == "tensor(float)":
        layout = layout_of(_sizes(inputs[0]), _sizes(outputs[0]), labels)
    if layout is None:
        told = [f"{each.type}{each.shape}" for each in (*inputs, *outputs)]
        classes = f", classes {' '.join(labels[:5])} ..." if labels else ""
        found = f"it has input and output {', '.join(told)}{classes}"
        raise wrong_shape("onnx", path, found)
    return layout


def _labels(text: str | None) -> list[str] | None:
    """Names of the classes, as ultralytics writes them into an export; None for none."""
    try:
        names = ast.literal_eval(text or "None")
    except (ValueError, SyntaxError):
        return None
    return [str(names[key]) for key in sorted(names)] if isinstance(names, dict) else None


def _sizes(port: Any) -> list[int]:
    """The shape of an input or output; 0 for a size that is not fixed, which is a name or None."""
    return [size if isinstance(size, int) else 0 for size in port.shape]


def _core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
