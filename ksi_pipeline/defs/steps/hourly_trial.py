"""Trying an hourly API: one real small request, and all that can be seen in its answer.

No ticket is written.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.base import Answer
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.registry import make_connector
from ksi_pipeline.core.errors import ConfigError, ContractError, KsiError
from ksi_pipeline.core.tickets import ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import Window, aligned_to_hours, hour_start_utc
from ksi_pipeline.defs.steps.trial import Trial
from ksi_pipeline.defs.workspace import Workspace

# Long enough to meet a day on which the store was open, short enough for the slowest till.
_USUAL = timedelta(hours=72)
_MOST_CODES = 5

_STEP_OF = {
    "E_FEED_AUTH": "token",
    "E_FEED_ECHO": "token",
    "E_PRIVATE_ADDRESS": "address",
    "E_FEED_UNAVAILABLE": "address",
    "E_FEED_TIMEOUT": "address",
    "E_FEED_REDIRECT": "address",
    "E_FEED_TLS": "tls",
    "E_NOT_JSON": "shape",
    "E_NOT_LIST": "shape",
    "E_BAD_TIME": "hours",
    "E_NAIVE_TIME": "hours",
    "E_NOT_HOUR_START": "hours",
    "E_OUTSIDE_WINDOW": "hours",
    "E_DUP_HOUR": "hours",
    "E_CODE_TYPE": "codes",
    "E_NOT_ASKED": "codes",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What a trial asks for."""

    codes: tuple[str, ...]
    zone: str
    window: Window


def question_of(
    workspace: Workspace,
    config: HourlyApiConfig,
    codes: Sequence[str] = (),
    timezone: str | None = None,
    window: Window | None = None,
) -> Question:
    """Decide what a trial asks: codes and zone of the links, and the last three days, unless given.

    Raises:
        ConfigError: E_NOTHING_TO_ASK, there is no code, or the zone is not clear; space files are
            wrong.
        ContractError: no whole hour lies in the window.
    """
    spaces = workspace.spaces()
    for space in spaces:
        linked = sorted({li.ext_ref_code for li in space.file.links if li.connector == config.id})
        if linked and not codes:
            codes, timezone = linked[:_MOST_CODES], timezone or space.file.site.timezone
    zones = {space.file.site.timezone for space in spaces}
    if timezone is None and len(zones) == 1:
        timezone = zones.pop()
    if not codes or timezone is None:
        lacks = "no code is linked to it" if not codes else "the sites have several time zones"
        raise ConfigError(
            f"Testing connector {config.id!r} needs a code and a time zone to ask for, and {lacks}."
            " Nothing was asked. Give --code and --timezone, such as --code 0001 --timezone "
            "Europe/Madrid.",
            code="E_NOTHING_TO_ASK",
        )
    zone = _zone(timezone)
    now = hour_start_utc(workspace.clock(), zone)
    asked = aligned_to_hours(window or Window(now - _USUAL, now), zone)
    return Question(tuple(codes), zone.key, asked)


def try_connector(
    workspace: Workspace,
    config: HourlyApiConfig,
    question: Question,
    *,
    is_empty_allowed: bool = False,
) -> Trial:
    """Ask once and look at the answer; the first thing that stops it is the last check.

    What a feed says is quoted; a token that it repeats is blotted out.
    """
    start, end = (_written(at) for at in (question.window.start, question.window.end))
    trial = Trial(config.id, f"for {', '.join(question.codes)}, {start} to {end} UTC")
    trial.told = {
        "url": None,
        "codes": list(question.codes),
        "timezone": question.zone,
        "from": question.window.start,
        "to": question.window.end,
    }
    try:
        token = config.token(workspace.secrets)
    except ConfigError as error:
        trial.failed("token", error.code, str(error))
        return trial
    _ask(workspace, config, question, trial, is_empty_allowed=is_empty_allowed)
    trial.checks = [replace(check, said=token.hide_in(check.said)) for check in trial.checks]
    trial.notes = [token.hide_in(note) for note in trial.notes]
    return trial


def _ask(
    workspace: Workspace,
    config: HourlyApiConfig,
    question: Question,
    trial: Trial,
    *,
    is_empty_allowed: bool,
) -> None:
    try:
        # one attempt: whoever tests wants to know now
        once = config.model_copy(update={"max_attempts": 1})
        connector = make_connector(once, workspace.secrets, workspace.clock)
        answers = connector.fetch(question.window, question.codes, ZoneInfo(question.zone))
    except KsiError as error:
        trial.failed(_STEP_OF.get(error.code, "answer"), error.code, str(error))
        return
    (answer,) = answers[:1]
    trial.told["url"] = answer.url
    trial.passed("address", f"{config.url.split('?')[0]} answered 200")
    trial.passed("token", f"the token of {config.token_env} was accepted")
    try:
        parsed = parse_hourly_answer(answer.body, answer.fetch, known_codes=set(question.codes))
    except ContractError as error:
        trial.failed(_STEP_OF.get(error.code, "shape"), error.code, str(error))
        return
    trial.row_count = parsed.rows.num_rows + sum(
        1 for row in parsed.rejected if row.code != "E_UNKNOWN_CODE"
    )
    trial.passed("shape", f"a bare list of {trial.row_count} rows")
    if trial.row_count == 0:
        elsewhere = "Name hours with sales with --from and --to"
        trial.about_empty(is_empty_allowed=is_empty_allowed, look_elsewhere=elsewhere)
        return
    _about_rows(trial, question, parsed)
    _note(trial, answer, parsed)


def _about_rows(trial: Trial, question: Question, parsed: ParsedAnswer) -> None:
    """Judge rows, hours and codes; E_HOUR_INCOMPLETE only follows from another row.

    Rows of codes that were not asked for do no harm, they are kept as unmatched; but where all rows
    are such, code and feed write the codes differently, like 0001 and 1.
    """
    aside = {"E_HOUR_INCOMPLETE", "E_UNKNOWN_CODE"}
    wrong = [row for row in parsed.rejected if row.code not in aside]
    counts = Counter(row.code for row in wrong)
    for name, said in [
        ("rows", "every row has the contract's fields and types"),
        ("hours", "every time is the start of a local hour inside the window, once for each code"),
        ("codes", "rows carry codes that were asked for"),
    ]:
        if name == "codes" and parsed.rows.num_rows and not _sent(parsed) & set(question.codes):
            trial.failed(
                name,
                "E_UNKNOWN_CODE",
                f"Asked for {', '.join(question.codes)}, the feed sent rows of "
                f"{', '.join(sorted(_sent(parsed))[:10])} and none of these. Link the code exactly "
                "as the feed writes it, leading zeros included.",
            )
            continue
        of_step = [row for row in wrong if _STEP_OF.get(row.code, "rows") == name]
        for code in dict.fromkeys(row.code for row in of_step):
            first = next(row for row in of_step if row.code == code)
            many = f" ({counts[code]} rows of {trial.row_count})" if counts[code] > 1 else ""
            trial.failed(name, code, f"{first.message}{many}")
        if not of_step:
            trial.passed(name, said)


def _note(trial: Trial, answer: Answer, parsed: ParsedAnswer) -> None:
    sent = _sent(parsed)
    silent = [code for code in answer.codes if code not in sent]
    if silent:
        trial.notes.append(f"No usable row for {', '.join(silent)}.")
    others = sorted(sent - set(answer.codes))
    if others:
        trial.notes.append(f"Rows of codes that were not asked for: {', '.join(others[:10])}.")
    if parsed.extra_fields:
        names = ", ".join(parsed.extra_fields)
        trial.notes.append(f"Fields outside the contract are kept and not read: {names}.")


def _sent(parsed: ParsedAnswer) -> set[str]:
    return set(parsed.rows["ext_ref_code"].to_pylist())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is no time zone. Nothing was asked. Write it like Europe/Madrid.",
            code="E_NOTHING_TO_ASK",
        ) from error


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
