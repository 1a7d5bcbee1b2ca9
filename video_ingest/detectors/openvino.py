"""People by a neural network in OpenVINO form; runs on any CPU, without torch.

Each frame goes through the network alone, so the boxes do not depend on how frames are batched. The
frames of a batch are in flight together (throughput mode): one is prepared while others are looked
at, and on several cores several are looked at at once.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_ingest.contract import DetectorStalled
from video_ingest.detectors.base import Boxes, Frame, Image
from video_ingest.detectors.layouts import Layout, SsdLayout, boxes_of, layout_of
from video_ingest.detectors.weights_file import (
    last_line,
    missing,
    missing_package,
    the_file,
    wrong_shape,
)

Outputs = list[NDArray[np.float32] | None]

# A frame takes a tenth of a second on a slow core. Others saw OpenVINO's queue wait for ever, on
# networks without a fixed input size (ultralytics issue 25923): an error is better than a stop.
_STALLED_S = 300.0


class OpenVinoDetector:
    """Runs an OpenVINO model on the CPU with as many requests in flight as it finds best.

    Attributes:
        layout: what its output is, and the size of its input.
    """

    prime_frames = 0

    def __init__(
        self, model_path: Path | None, *, min_confidence: float = 0.1, max_overlap: float = 0.6
    ) -> None:
        """Load and compile a model.

        Args:
            model_path: the .xml file, or the folder that holds it and its .bin.
            min_confidence: boxes below it are left out; low ones help the tracker over occlusions.
            max_overlap: of two boxes that share more than this (intersection over union) the less
                confident is left out, where the layout gives several boxes for one person.

        Raises:
            DetectorError: E_DETECTOR_MISSING, E_MODEL_MISSING or E_MODEL_SHAPE.
        """
        xml = the_file("openvino", model_path, ".xml")
        if not xml.with_suffix(".bin").is_file():
            why = f"{xml.with_suffix('.bin')} does not exist"
            raise missing("openvino", why, "Put the .bin beside the .xml")
        openvino = import_openvino()
        self.name = f"openvino:{xml.stem}"
        self._min_confidence, self._max_overlap = min_confidence, max_overlap
        self._layout, compiled = _compile(openvino, xml)
        self.layout = f"{self._layout.title}, {self._layout.width} x {self._layout.height}"
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep_output)

    def prime(self, frames: Sequence[Image]) -> None:
        """Nothing to do: every frame is judged alone."""

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the people of each frame; see `Detector.detect`.

        Raises:
            DetectorStalled: E_DETECTOR_STALLED, OpenVINO gave no answer for minutes.
        """
        outputs: Outputs = [None] * len(frames)
        free = threading.Semaphore(len(self._queue))
        for number, frame in enumerate(frames):
            picture = self._layout.fit(frame.image)
            self._await(free)
            self._queue.start_async({0: picture[None]}, (outputs, number, free))
        for _ in range(len(self._queue)):
            self._await(free)
        # raises what went wrong inside OpenVINO
        self._queue.wait_all()
        return [self._boxes(*each) for each in zip(outputs, frames, strict=True)]

    def _boxes(self, output: NDArray[np.float32] | None, frame: Frame) -> Boxes:
        if output is None:
            raise RuntimeError(f"{self.name}: OpenVINO ended a frame without an output")
        layout, image = self._layout, frame.image
        return boxes_of(layout, output, image, self._min_confidence, self._max_overlap)

    def _await(self, free: threading.Semaphore) -> None:
        if not free.acquire(timeout=_STALLED_S):
            raise DetectorStalled(
                f"Detecting with {self.name!r} failed: OpenVINO gave no answer for "
                f"{_STALLED_S:.0f} s. The chunk at hand gives nothing. Start the run again; if it "
                "happens again, use other weights or the detector 'motion'.",
                code="E_DETECTOR_STALLED",
            )


def _keep_output(request: Any, place: tuple[Outputs, int, threading.Semaphore]) -> None:
    outputs, number, free = place
    try:
        outputs[number] = np.array(request.get_output_tensor(0).data, dtype=np.float32)
    finally:
        free.release()


def import_openvino() -> ModuleType:
    """Import openvino without its telemetry.

    Importing it reports the import to Google Analytics through the package openvino_telemetry;
    where that cannot be imported, openvino (2026.4, tools/ovc) falls back to a stub that sends
    nothing. There is no setting for it.
    """
    telemetry = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise missing_package("openvino", "openvino", error) from error
    finally:
        del sys.modules["openvino_telemetry"]
        if telemetry is not None:
            sys.modules["openvino_telemetry"] = telemetry
    return openvino  # type: ignore[no-any-return]


def _compile(openvino: ModuleType, xml: Path) -> tuple[Layout, Any]:
    core = openvino.Core()
    try:
        model = core.read_model(xml)
        layout = _layout(model, xml)
        model = _with_preprocessing(openvino, model, layout)
        return layout, core.compile_model(model, "CPU", _settings(layout))
    except RuntimeError as error:
        why = f"OpenVINO cannot read it ({last_line(error)})"
        raise wrong_shape("openvino", xml, why) from error


def _settings(layout: Layout) -> dict[str, str]:
    """Throughput, and numbers exact enough for pixels.

    Where a CPU has bfloat16, OpenVINO rounds to its 8 bits: a corner at pixel 600 would lie at 598
    or 602, and other machines would find other boxes. SSD gives shares that were never rounded,
    and would take 1.7 times as long; INT8 networks take no longer (OpenVINO 2026.4).
    """
    settings = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if not isinstance(layout, SsdLayout):
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    return settings


def _layout(model: Any, xml: Path) -> Layout:
    labels = None
    if model.has_rt_info(["model_info", "labels"]):
        labels = model.get_rt_info(["model_info", "labels"]).astype(str).split()
    layout = None
    if len(model.inputs) == 1 and model.outputs:
        layout = layout_of(_sizes(model.inputs[0]), _sizes(model.outputs[0]), labels)
    if layout is None:
        inputs = ", ".join(str(each.partial_shape) for each in model.inputs) or "none"
        outputs = ", ".join(str(each.partial_shape) for each in model.outputs) or "none"
        classes = f", classes {' '.join(labels[:5])} ..." if labels else ""
        found = f"it has input {inputs}, output {outputs}{classes}"
        raise wrong_shape("openvino", xml, found)
    return layout


def _sizes(port: Any) -> list[int]:
    """The shape of an input or output; 0 for a size that is not fixed."""
    if port.partial_shape.rank.is_dynamic:
        return []
    return [0 if size.is_dynamic else int(size.get_length()) for size in port.partial_shape]


def _with_preprocessing(openvino: ModuleType, model: Any, layout: Layout) -> Any:
    """The model with byte BGR pictures, shape [1, height, width, 3], as its input."""
    steps = openvino.preprocess.PrePostProcessor(model)
    tensor = steps.input().tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    tensor.set_color_format(openvino.preprocess.ColorFormat.BGR)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    conversion = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    if layout.is_rgb_unit:
        conversion.convert_color(openvino.preprocess.ColorFormat.RGB).scale(255.0)
    return steps.build()
