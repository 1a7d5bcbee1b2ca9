"""The file targets.yaml: where marts are published to.

Secrets are never in the file: it names an environment variable, and whoever holds the secrets
resolves the name. No error repeats a value of the file, because a URL with its password may have
been pasted there by mistake.
"""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain
from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.bigquery.config import BigqueryConfig
from ksi_pipeline.publishers.duckdb_file.config import DuckdbConfig
from ksi_pipeline.publishers.files.config import FilesConfig
from ksi_pipeline.publishers.kafka.config import KafkaConfig
from ksi_pipeline.publishers.postgres.config import PostgresConfig
from ksi_pipeline.publishers.redshift.config import RedshiftConfig
from ksi_pipeline.publishers.snowflake.config import SnowflakeConfig

KINDS: dict[str, type[TargetBase]] = {
    "files": FilesConfig,
    "duckdb": DuckdbConfig,
    "postgres": PostgresConfig,
    "redshift": RedshiftConfig,
    "bigquery": BigqueryConfig,
    "kafka": KafkaConfig,
    "snowflake": SnowflakeConfig,
}
LineOf = Callable[[tuple[str | int, ...]], int]


def read_targets(raw: object, line_of: LineOf, name: str) -> tuple[TargetBase, ...]:
    """Read what a targets.yaml holds.

    Args:
        raw: the parsed file; null where it is empty.
        line_of: gives the line of a path into it.
        name: of the file, for messages.

    Raises:
        ConfigError: E_TARGETS_FILE, naming every setting that is wrong with its line;
            E_DUP_TARGET.
    """
    targets: list[TargetBase] = []
    problems: list[str] = []
    for number, entry in enumerate(_entries(raw, name)):
        at = ("targets", number)
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            problems.append(
                f"line {line_of((*at, 'kind'))}, {_called(entry, number)}, kind: it should be one "
                f"of {', '.join(KINDS)}"
            )
            continue
        try:
            targets.append(KINDS[kind].model_validate(entry))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            problems += [
                f"line {line_of((*at, *one['loc']))}, {_called(entry, number)}"
                f"{_problem(one, KINDS[kind])}"
                for one in wrong
            ]
    if problems:
        raise ConfigError(
            f"{name}: {'; '.join(problems)}. No target was loaded and nothing was published. "
            "Correct the file; docs/how-to has a page for each kind.",
            code="E_TARGETS_FILE",
        )
    _refuse_doubles(targets, name, line_of)
    return tuple(targets)


def find_target(targets: Sequence[TargetBase], target_id: str, name: str) -> TargetBase:
    """Give the target of an id.

    Raises:
        ConfigError: E_UNKNOWN_TARGET, naming those that there are.
    """
    for target in targets:
        if target.id == target_id:
            return target
    known = ", ".join(target.id for target in targets) or "none"
    raise ConfigError(
        f"There is no target {target_id!r} in {name} (it has: {known}). Nothing was published. "
        "Correct the name, or add the target; data/targets.yaml.example shows each kind.",
        code="E_UNKNOWN_TARGET",
    )


def _entries(raw: object, name: str) -> list[object]:
    if raw is None:
        return []
    listed = raw.get("targets") if isinstance(raw, dict) else None
    is_known = isinstance(raw, dict) and not set(raw) - {"targets"}
    if not is_known or not isinstance(listed, list | None):
        raise ConfigError(
            f"{name}: the file should hold one key, targets:, with a list of targets below it. No "
            "target was loaded.",
            code="E_TARGETS_FILE",
        )
    return listed or []


def _refuse_doubles(targets: Sequence[TargetBase], name: str, line_of: LineOf) -> None:
    ids = [target.id for target in targets]
    for number, target_id in enumerate(ids):
        if target_id in ids[:number]:
            raise ConfigError(
                f"{name} line {line_of(('targets', number, 'id'))}: two targets have the id "
                f"{target_id!r}. No target was loaded. Rename one; the id names its receipts.",
                code="E_DUP_TARGET",
            )


def _problem(problem: ErrorDetails, kind: type[TargetBase]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    text = plain(problem["type"], problem["msg"])
    if problem["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in kind.model_fields.items()]
        alike = get_close_matches(where, known, 1)
        todo = f"did you mean {alike[0]}?" if alike else "check the spelling"
        text = f"unknown setting; {todo}"
    return f"{', ' if where else ''}{where}: {text}"


def _called(entry: Any, number: int) -> str:
    given = entry.get("id") if isinstance(entry, dict) else None
    return f"target {given!r}" if isinstance(given, str) else f"target number {number + 1}"
