#!/bin/sh
# On the day in spring when the clocks go from 2:00 to 3:00, Prefect's cron schedule of 02:30 runs at 01:30, before its time.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    prefect==3.8.8 'fastapi>=0.139,<0.151' 'sqlalchemy<2.1' || exit 2
export PREFECT_HOME="$folder/home" PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
from datetime import datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from prefect.server.schemas.schedules import CronSchedule

BERLIN = ZoneInfo("Europe/Berlin")
print("Prefect", version("prefect"), "with the croniter that it ships, time zone Europe/Berlin")


def runs(cron, start, days):
    """Return the times at which the scheduler makes runs, as a clock in Berlin shows them."""
    schedule = CronSchedule(cron=cron, timezone="Europe/Berlin")
    end = datetime(start.year, start.month, start.day + days, tzinfo=BERLIN) - timedelta(seconds=1)
    found = asyncio.run(schedule.get_dates(n=100, start=start, end=end))
    return [time.astimezone(BERLIN).strftime("%d. %H:%M %z") for time in found]


spring = runs("30 2 * * *", datetime(2026, 3, 28, tzinfo=BERLIN), 3)
autumn = runs("30 2 * * *", datetime(2026, 10, 24, tzinfo=BERLIN), 3)
print("30 2 * * *, 28 to 30 March 2026, no 2:30 on the 29th:", ", ".join(spring))
print("30 2 * * *, 24 to 26 October 2026, 2:30 twice on the 25th:", ", ".join(autumn))
hours = [len(runs("0 * * * *", datetime(2026, month, day, tzinfo=BERLIN), 1)) for month, day in ((3, 29), (10, 25))]
print(f"0 * * * *, 29 March (23 hours): {hours[0]} runs; 25 October (25 hours): {hours[1]} runs")
if "29. 01:30 +0100" in spring:
    print("as described: on 29 March the run of 02:30 is at 01:30, an hour before its time")
else:
    raise SystemExit("changed")
PYTHON
