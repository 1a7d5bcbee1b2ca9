"""What published sums give away of those who are in them: linear algebra, no solver.

A *member* is one contributor (a tenancy), an *operator* the company behind one or several of them.
A *sum* is a set of members whose amounts are published added up. Everything that follows exactly
from published sums is in the row space of their matrix. Members that are in the same sums cannot
be told apart; they are one *atom*, and the audit works on atoms. What it looks for:

* every published sum, and the difference of any two of them;
* every atom, and the sum or difference of any two, that lies in the row space;
* the same from the seat of every operator that is alone in an atom and so knows its amount.

Each of these has to be safe by itself (`why_unsafe`). Sums of different months are audited
together, as if amounts stayed the same from month to month: that is how a reader takes the
difference when a tenant joins or leaves, and nobody can know how far off it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Sum = frozenset[int]

_ZERO = 1e-9


@dataclass(frozen=True, slots=True)
class Protection:
    """When a sum of amounts is safe to show.

    Attributes:
        min_operators: distinct operators in it beside the one who looks, at least.
        max_share: share of the largest operator in the total, at most; 0 to 1.
        min_rest: what remains of the total without its two largest operators, as a share of the
            largest, at least (p %-rule): below it the second could estimate the first that well.
    """

    min_operators: int = 5
    max_share: float = 0.75
    min_rest: float = 0.10


@dataclass(frozen=True, slots=True)
class Members:
    """Who may be in a sum.

    Attributes:
        operator: shape (N,), number of the operator of each member, from 0.
        amounts: shape (N, M), each member's M amounts, in any unit; only their size counts.
    """

    operator: IntArray
    amounts: FloatArray

    def row(self, members: Iterable[int]) -> FloatArray:
        """Give a sum as a row of the matrix: shape (N,), 1 for who is in it."""
        row = np.zeros(len(self.operator))
        row[list(members)] = 1.0
        return row


def why_unsafe(
    weights: FloatArray, members: Members, protection: Protection, seat: int | None = None
) -> str | None:
    """Say why a weighted sum of members must not be known, or None when it may.

    Args:
        weights: shape (N,); 0 for members that are not in it. Its sign does not matter.
        members: operators and amounts.
        protection: the thresholds.
        seat: the operator who looks; None for the worst of them, one who is in the sum.

    Returns:
        `below_k`, too few other operators; `dominated`, one operator is too much of the total, in
        any of the amounts, or the total is 0 (which says that all are).
    """
    weights = weights if seat is None else np.where(members.operator == seat, 0.0, weights)
    in_sum = np.abs(weights) > _ZERO
    others = len(np.unique(members.operator[in_sum])) - (seat is None)
    if others < protection.min_operators:
        return "below_k"
    sizes = np.abs(weights[:, None] * members.amounts)
    for amounts in sizes.T:
        by_operator = np.sort(np.bincount(members.operator, weights=amounts))[::-1]
        total, first = by_operator.sum(), by_operator[0]
        second = by_operator[1] if seat is None and len(by_operator) > 1 else 0.0
        if first <= 0 or first > protection.max_share * total:
            return "dominated"
        if total - first - second < protection.min_rest * first:
            return "dominated"
    return None


def is_exposed(sums: Iterable[Sum], members: Members, protection: Protection) -> bool:
    """Whether something that follows from published sums is not safe.

    Args:
        sums: everything that is published, as sets of member numbers; repeats add nothing.
        members: of all sums.
        protection: the thresholds.
    """
    distinct = sorted(set(sums), key=sorted)
    if not distinct:
        return False
    rows = np.array([members.row(one) for one in distinct])
    for row in _shown(rows):
        if why_unsafe(row, members, protection):
            return True
    atoms = _atoms_of(rows)
    for seat in (None, *_alone(atoms, members)):
        known = _owned(atoms, members, seat)
        for form in _recovered(atoms[~known], rows):
            if why_unsafe(form, members, protection, seat):
                return True
    return False


def follows(target: Sum, sums: Iterable[Sum], members: Members, *, with_own: bool = True) -> bool:
    """Whether a hidden sum follows from published ones.

    Args:
        target: the hidden sum.
        sums: what is published of the same period.
        members: of all sums.
        with_own: also count what an operator can work out who knows its own part.
    """
    distinct = sorted(set(sums), key=sorted)
    rows = np.array([members.row(one) for one in distinct]).reshape(len(distinct), -1)
    hidden = members.row(target)
    atoms = _atoms_of(np.vstack([rows, hidden]))
    for seat in (None, *(_alone(atoms, members) if with_own else ())):
        unknown = atoms[~_owned(atoms, members, seat)]
        of_rows, of_hidden = (_on(unknown, part) for part in (rows, hidden[None, :]))
        if not of_hidden.any():
            continue
        rest = of_hidden @ _unknown_part(of_rows)
        if np.abs(rest).max(initial=0.0) < _ZERO:
            return True
    return False


def _shown(rows: FloatArray) -> Iterator[FloatArray]:
    yield from rows
    for a, b in combinations(rows, 2):
        yield a - b


def _atoms_of(rows: FloatArray) -> BoolArray:
    """Give members that are in the same sums as one: shape (A, N); none for who is in no sum."""
    patterns, atom = np.unique(rows, axis=1, return_inverse=True)
    atoms: BoolArray = np.arange(patterns.shape[1])[:, None] == atom.reshape(1, -1)
    return atoms[patterns.any(axis=0)]


def _alone(atoms: BoolArray, members: Members) -> list[int]:
    """Give the operators that are alone in an atom; only they take something out of it."""
    owners = (np.unique(members.operator[atom]) for atom in atoms)
    return sorted({int(found[0]) for found in owners if len(found) == 1})


def _owned(atoms: BoolArray, members: Members, seat: int | None) -> BoolArray:
    if seat is None:
        return np.zeros(len(atoms), dtype=np.bool_)
    owned: BoolArray = ~(atoms & (members.operator != seat)).any(axis=1)
    return owned


def _recovered(atoms: BoolArray, rows: FloatArray) -> Iterator[FloatArray]:
    """Give atoms, and sums and differences of two, that the rows determine: shape (N,) each."""
    if not len(atoms):
        return
    unknown = _unknown_part(_on(atoms, rows))
    alone = np.diag(unknown) < _ZERO
    for a in np.flatnonzero(alone):
        yield atoms[a].astype(np.float64)
    for a, b in combinations(np.flatnonzero(~alone), 2):
        for sign in (1.0, -1.0):
            if unknown[a, a] + unknown[b, b] + 2 * sign * unknown[a, b] < _ZERO:
                yield atoms[a] + sign * atoms[b]


def _on(atoms: BoolArray, rows: FloatArray) -> FloatArray:
    """Give rows by atom instead of by member: shape (R, A)."""
    first = atoms.argmax(axis=1)
    by_atom: FloatArray = rows[:, first]
    return by_atom


def _unknown_part(rows: FloatArray) -> FloatArray:
    """Give the projector onto what the rows do not say: symmetric, shape (A, A)."""
    size = rows.shape[1]
    if not rows.size:
        return np.eye(size)
    projector: FloatArray = np.eye(size) - np.linalg.pinv(rows) @ rows
    return projector
