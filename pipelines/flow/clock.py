"""Which clock a calendar line runs by, and what happens to it on the days that clocks change."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from naslora_core.errors import ConfigError, PipelineError

# What cron calls by names.
_NAMED = {"@hourly": "0 * * * *", "@midnight": "0 0 * * *", "@daily": "0 0 * * *"}


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone, or UTC where it has none.

    Raises:
        PipelineError: if its settings name several.
    """
    from tzlocal import get_localzone_name

    try:
        return get_localzone_name() or "UTC"
    except ZoneInfoNotFoundError as error:
        raise PipelineError(f"this machine's time zone is not clear: {error.args[0]}") from error


def describe_cron(cron: str, zone: str) -> list[str]:
    """Return lines about a calendar line: the zone it runs by, and a warning if clocks change in its hours.

    Args:
        cron: five fields: minute, hour, day, month, day of the week.
        zone: the IANA name of a time zone.

    Raises:
        ConfigError: if it is no calendar line.
    """
    lines = [f"The calendar '{cron}' is read in the time of {zone}."]
    if changed := sorted(_hours(cron) & changed_hours(zone)):
        hours = " and ".join(f"{hour}:00" for hour in changed)
        lines.append(
            f"Warning: clocks change there in the hour of {hours}. Prefect runs what lies in a skipped hour an hour "
            "early or not at all, and what lies in a repeated one once. Give another hour, use --every, or start this "
            "with TZ=UTC."
        )
    return lines


def changed_hours(zone: str) -> set[int]:
    """Return the hours of the day, 0 to 23, that are skipped or repeated in a time zone within the next year."""
    now, clock = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0), ZoneInfo(zone)
    moments = [(now + timedelta(hours=hour)).astimezone(clock) for hour in range(366 * 24)]
    changed: set[int] = set()
    for before, after in zip(moments, moments[1:], strict=False):
        step = (after.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
        if step > timedelta():
            changed.add((before.hour + 1) % 24)
        elif step:
            changed.add(after.hour)
    return changed


def _hours(cron: str) -> set[int]:
    """Return the hours of a calendar line, as Prefect reads it."""
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        schedule = CronSchedule(cron=cron, timezone="UTC")
    except ValidationError as error:
        raise ConfigError(
            f"--cron '{cron}' is no calendar line; give five fields, minute, hour, day, month and day of the week, "
            "as in '0 3 * * 6'"
        ) from error
    field = _NAMED.get(schedule.cron, schedule.cron if " " in schedule.cron else "0 0 1 * *").split()[1]
    hours: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-23" if span == "*" else span).partition("-")
        end = int(last) if last else (23 if step else int(first))
        # 22-2 goes over midnight.
        end += 24 if end < int(first) else 0
        hours |= {hour % 24 for hour in range(int(first), end + 1, int(step or 1))}
    return hours
