"""Reads campaigns.yaml, or says everything that is wrong with it at once, line by line."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ksi_pipeline.core.campaigns import METRICS, Campaign
from ksi_pipeline.core.effect_days import Days
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import named, plain
from ksi_pipeline.core.time import YEARS
from ksi_pipeline.space.entry import Day, Id
from ksi_pipeline.space.load import Space
from ksi_pipeline.space.yaml_lines import Path, line_of, read_yaml

MetricName = Literal[
    "net_sales",
    "ticket_count",
    "average_ticket_value",
    "net_entry_count",
    "conversion_rate",
    "sales_per_visitor",
]
assert set(get_args(MetricName)) == set(METRICS)

UnitKey = Annotated[str, StringConstraints(pattern=r"^[^/]+/[^/]+$")]
_ANY_CONTROL = "it should be same_category, or a list of units"
_LONGEST_DAYS = 3 * 366
_Found = tuple[Path, str, str]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Window(_Entry):
    """Business dates; `to` is the last of them."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")

    @property
    def days(self) -> Days:
        """The window as core reads it."""
        return Days(self.first, self.last)


class Placebo(_Entry):
    """Two windows in which nothing happened."""

    before: Window
    during: Window


class CampaignEntry(_Entry):
    """One entry of `campaigns:`."""

    id: Id
    treated: list[UnitKey] = Field(min_length=1)
    control: Literal["same_category"] | Annotated[list[UnitKey], Field(min_length=1)] = (
        "same_category"
    )
    before: Window
    during: Window
    metrics: list[MetricName] = Field(min_length=1)
    placebo: Placebo | None = None
    margin_rate: float | None = Field(default=None, gt=0, le=1, strict=True)
    cost: Decimal | None = Field(default=None, gt=0, max_digits=18, decimal_places=4)
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")

    def campaign(self) -> Campaign:
        """Give the entry as core reads it."""
        placebo = self.placebo
        return Campaign(
            id=self.id,
            treated=tuple(self.treated),
            control=None if isinstance(self.control, str) else tuple(self.control),
            before=self.before.days,
            during=self.during.days,
            metrics=tuple(self.metrics),
            placebo=(placebo.before.days, placebo.during.days) if placebo else None,
            margin_rate=self.margin_rate,
            cost=self.cost,
            currency=self.currency,
        )


class CampaignsFile(_Entry):
    """The whole file."""

    campaigns: list[CampaignEntry] | None = None


def load_campaigns(path: FilePath, spaces: Sequence[Space] | None = None) -> tuple[Campaign, ...]:
    """Read campaigns.yaml; a missing file means that there are none.

    Args:
        path: the file.
        spaces: sites whose units may be named; null: names are not looked up.

    Raises:
        ConfigError: one line for each thing that is wrong, each naming file, line and campaign;
            E_CAMPAIGNS_FILE, E_CAMPAIGN_WINDOW or E_CAMPAIGN_UNIT, the first of them.
    """
    if not path.exists():
        return ()
    try:
        text = path.read_text(encoding="utf-8")
        data, lines = read_yaml(text, path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as UTF-8 text ({type(error).__name__}).",
            code="E_CAMPAIGNS_FILE",
        ) from error
    except ConfigError as error:
        raise ConfigError(str(error), code="E_CAMPAIGNS_FILE") from error
    try:
        file = CampaignsFile.model_validate({} if data is None else data)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors() if not _is_other_control(dict(detail))]
        wrong = [_parse_finding(detail) for detail in details]
        raise _refused(path, wrong, data, lines) from error
    entries = file.campaigns or []
    wrong = [*_findings(entries), *(_unknown(entries, spaces) if spaces is not None else ())]
    if wrong:
        raise _refused(path, wrong, data, lines)
    return tuple(entry.campaign() for entry in sorted(entries, key=lambda entry: entry.id))


def _is_other_control(detail: dict[str, Any]) -> bool:
    """Whether it says why a list of units is not the word same_category, or the other way round."""
    if "literal['same_category']" in detail["loc"]:
        return isinstance(detail["input"], list)
    return detail["type"] == "list_type" and "control" in detail["loc"]


def _parse_finding(detail: dict[str, Any]) -> _Found:
    path = tuple(part for part in detail["loc"] if part not in ("literal['same_category']",))
    path = tuple(part for part in path if not str(part).startswith("list["))
    said = plain(detail["type"], detail["msg"])
    if detail["type"] == "extra_forbidden":
        said = f"{path[-1]!r} is not a key here; remove it or correct its spelling"
    elif detail["type"] == "missing":
        said, path = f"{path[-1]!r} is missing; add it", path[:-1]
    elif detail["type"] == "string_pattern_mismatch" and path[-1] != "currency":
        said = f"{named(path, detail['input'])} is no unit; write it as site/unit"
    elif path and path[-1] == "control":
        said = f"{named(path, detail['input'])}: {_ANY_CONTROL}"
    elif detail["type"] == "too_short":
        said = f"{path[-1]!r} is []: it should name one or more"
    elif path:
        said = f"{named(path, detail['input'])}: {said}"
    return path, "E_CAMPAIGNS_FILE", said


def _findings(entries: Sequence[CampaignEntry]) -> Iterator[_Found]:
    for number, entry in enumerate(entries):
        path: Path = ("campaigns", number)
        if entry.id in [earlier.id for earlier in entries[:number]]:
            yield (*path, "id"), "E_CAMPAIGNS_FILE", "another campaign has this id; rename one"
        if len(set(entry.metrics)) < len(entry.metrics):
            yield (*path, "metrics"), "E_CAMPAIGNS_FILE", "a metric is listed twice; remove one"
        if entry.cost is not None and entry.currency is None:
            said = "a cost needs its currency; add it, like currency: EUR"
            yield (*path, "cost"), "E_CAMPAIGNS_FILE", said
        control = [] if isinstance(entry.control, str) else entry.control
        for name, keys in (("treated", entry.treated), ("control", control)):
            for place, key in enumerate(keys):
                if key in keys[:place]:
                    said = f"unit {key} is listed twice in {name!r}; remove one"
                    yield (*path, name, place), "E_CAMPAIGN_UNIT", said
        for key in sorted(set(entry.treated) & set(control)):
            said = f"unit {key} is treated too; a control unit must not have the campaign"
            yield (*path, "control"), "E_CAMPAIGN_UNIT", said
        yield from _windows(entry, path)
        yield from _disturbed(entries, number)


def _windows(entry: CampaignEntry, path: Path) -> Iterator[_Found]:
    named = [("before", entry.before), ("during", entry.during)]
    if entry.placebo:
        named += [
            ("placebo", entry.placebo.before),
            ("placebo", entry.placebo.during),
        ]
    for name, window in named:
        said = _wrong_days(window)
        if said:
            yield (*path, name), "E_CAMPAIGN_WINDOW", said
    if entry.during.first <= entry.before.last:
        said = (
            f"'before' ends on {entry.before.last}, and 'during' begins on {entry.during.first}; "
            "no day may be in both, and 'to' is the last day"
        )
        yield (*path, "before"), "E_CAMPAIGN_WINDOW", said
    if entry.placebo and not (
        entry.placebo.before.last < entry.placebo.during.first
        and entry.placebo.during.last < entry.during.first
    ):
        said = (
            "the two windows of a placebo come one after the other, and both before "
            f"{entry.during.first}, when the campaign begins"
        )
        yield (*path, "placebo"), "E_CAMPAIGN_WINDOW", said


def _wrong_days(window: Window) -> str | None:
    if window.last < window.first:
        return f"the window ends on {window.last}, before it begins on {window.first}"
    if window.first.year not in YEARS or window.last.year not in YEARS:
        return (
            f"the window from {window.first} to {window.last} has days before {YEARS.start} or "
            f"after {YEARS.stop - 1}; correct its years"
        )
    if len(window.days) > _LONGEST_DAYS:
        return (
            f"the window from {window.first} to {window.last} has {len(window.days):,} days; give "
            f"it 3 years ({_LONGEST_DAYS:,} days) or less"
        )
    return None


def _disturbed(entries: Sequence[CampaignEntry], number: int) -> Iterator[_Found]:
    entry = entries[number]
    campaign = entry.campaign()
    looked_at = {*campaign.treated, *(campaign.control or ())}
    for other in (one.campaign() for one in entries if one.id != entry.id):
        shared = sorted(looked_at & set(other.treated))
        if shared and other.disturbs(campaign):
            said = (
                f"campaign {other.id!r} had unit {', '.join(shared)} from {other.during.first} to "
                f"{other.during.last}, within the windows of this one; choose other days or units"
            )
            yield ("campaigns", number), "E_CAMPAIGN_WINDOW", said


def _unknown(entries: Sequence[CampaignEntry], spaces: Sequence[Space]) -> Iterator[_Found]:
    units = {space.site_id: {unit.id for unit in space.file.units} for space in spaces}
    for number, entry in enumerate(entries):
        lists = [("treated", entry.treated)]
        lists += [] if isinstance(entry.control, str) else [("control", entry.control)]
        for name, keys in lists:
            for place, key in enumerate(keys):
                site, unit = key.split("/")
                path: Path = ("campaigns", number, name, place)
                if site not in units:
                    known = ", ".join(sorted(units)) or "none"
                    yield path, "E_CAMPAIGN_UNIT", f"there is no site {site!r}; sites are {known}"
                elif unit not in units[site]:
                    said = f"site {site!r} has no unit {unit!r}; correct it, or add the unit"
                    yield path, "E_CAMPAIGN_UNIT", said


def _refused(
    file: FilePath, wrong: Sequence[_Found], data: Any, lines: dict[Path, int]
) -> ConfigError:
    said = [
        f"{file.name} line {line_of(path, lines)}: {_name_of(path, data)}{text}."
        for path, _, text in wrong
    ]
    return ConfigError("\n".join([*said, "No campaign was loaded."]), code=wrong[0][1])


def _name_of(path: Path, data: Any) -> str:
    if len(path) < 2 or not isinstance(path[1], int):
        return ""
    entry = data["campaigns"][path[1]]
    name = entry.get("id") if isinstance(entry, dict) else None
    return f"campaign {name!r}: " if name is not None else f"campaign {path[1] + 1}: "
