"""How a person walks, as a Kalman filter: where they will be, how surely, and where they were.

The speed is a random walk with a memory (an integrated Ornstein-Uhlenbeck process): a person keeps
speed and direction for `steady_s` on average, and over long times walks `walk_m_s` along each axis
and stands as often as that allows. It is exact for steps of any length, so it does not depend on
the frame rate, and it looks at the past only.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_UPPER = np.triu_indices(4)


@dataclass(frozen=True, slots=True)
class Motion:
    """Place and speed of one person, and how surely they are known.

    Attributes:
        x: place, in units of the ground (metres, or pixels where the camera is not calibrated).
        y: place.
        speed_x: units per second.
        speed_y: units per second.
        spread: covariance of (x, y, speed_x, speed_y), upper triangle by rows; ten numbers.
    """

    x: float
    y: float
    speed_x: float
    speed_y: float
    spread: tuple[float, ...]

    @property
    def place(self) -> FloatArray:
        """Shape (2,)."""
        return np.array([self.x, self.y])

    @property
    def covariance(self) -> FloatArray:
        """Shape (4, 4), symmetric."""
        upper = np.zeros((4, 4))
        upper[_UPPER] = self.spread
        return upper + np.triu(upper, 1).T


def begun(place: FloatArray, noise: FloatArray, speed_sd: float) -> Motion:
    """A person seen for the first time: any walking speed is possible.

    Args:
        place: shape (2,).
        noise: covariance of the place, shape (2, 2).
        speed_sd: usual speed along each axis, units of the ground per second.
    """
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = noise
    covariance[2, 2] = covariance[3, 3] = speed_sd**2
    return _motion(np.array([*place, 0.0, 0.0]), covariance)


def predicted(motion: Motion, ahead_s: float, speed_sd: float, steady_s: float) -> Motion:
    """The person some seconds later, if nobody looks.

    Args:
        motion: now.
        ahead_s: seconds, greater than 0.
        speed_sd: usual speed along each axis, units of the ground per second.
        steady_s: how long a person keeps speed and direction; time constant.
    """
    kept = math.exp(-ahead_s / steady_s)
    reach_s = steady_s * (1.0 - kept)
    step = np.eye(4)
    step[0, 2] = step[1, 3] = reach_s
    step[2, 2] = step[3, 3] = kept
    # The exact integral; rounding can make it negative for steps of microseconds.
    wander = max(0.0, 2.0 * ahead_s / steady_s - 3.0 + 4.0 * kept - kept**2) * steady_s**2
    turn = steady_s * (1.0 - kept) ** 2
    change = np.array([[wander, turn], [turn, 1.0 - kept**2]])
    covariance = step @ motion.covariance @ step.T + speed_sd**2 * np.kron(change, np.eye(2))
    now = np.array([motion.x, motion.y, motion.speed_x, motion.speed_y])
    return _motion(step @ now, covariance)


def corrected(motion: Motion, place: FloatArray, noise: FloatArray) -> Motion:
    """The person as predicted, drawn towards the place where they were detected.

    Args:
        motion: predicted for the instant of the detection.
        place: detected, shape (2,).
        noise: covariance of the detected place, shape (2, 2); its determinant is greater than 0.
    """
    covariance = motion.covariance
    gain = covariance[:, :2] @ _inverse(covariance[:2, :2] + noise)
    now = np.array([motion.x, motion.y, motion.speed_x, motion.speed_y])
    return _motion(now + gain @ (place - now[:2]), covariance - gain @ covariance[:2])


def _inverse(spread: FloatArray) -> FloatArray:
    """Of a symmetric matrix, shape (2, 2)."""
    (a, b), (_, c) = spread.tolist()
    return np.array([[c, -b], [-b, a]], dtype=np.float64) / float(a * c - b * b)


def _motion(values: FloatArray, covariance: FloatArray) -> Motion:
    x, y, speed_x, speed_y = (float(value) for value in values)
    even = (covariance + covariance.T) / 2.0
    return Motion(x, y, speed_x, speed_y, tuple(float(value) for value in even[_UPPER]))
