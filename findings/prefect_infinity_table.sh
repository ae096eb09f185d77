#!/bin/sh
# A table artifact with an infinite number is stored as text that is no JSON: whoever shows it cannot read it.
set -eu
folder=$(mktemp -d)
trap 'kill "$server" 2> /dev/null || true; rm -rf "$folder"' EXIT
server=
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    prefect==3.8.8 'fastapi>=0.139,<0.151' 'sqlalchemy<2.1' || exit 2
export PREFECT_HOME="$folder/home" PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
mkdir "$folder/home"
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/prefect" server start --host 127.0.0.1 --port "$port" > "$folder/log" 2>&1 &
server=$!
export PREFECT_API_URL="http://127.0.0.1:$port/api"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import os
import time
import warnings
from importlib.metadata import version

import httpx

url = os.environ["PREFECT_API_URL"]
for _ in range(240):
    try:
        httpx.get(f"{url}/health").raise_for_status()
        break
    except httpx.HTTPError:
        time.sleep(0.5)

from prefect.artifacts import create_table_artifact

warnings.simplefilter("ignore")
rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": float("inf")}]
print("Prefect", version("prefect"))
print("create_table_artifact(", rows, ")")
create_table_artifact(rows, key="losses")
answer = httpx.post(f"{url}/artifacts/filter", json={"artifacts": {"key": {"any_": ["losses"]}}})
data = answer.json()[0]["data"]
print("answer:", answer.status_code, "data:", data)


def refuse(name):
    raise ValueError(f"{name} is no JSON (RFC 8259, section 6)")


try:
    json.loads(data, parse_constant=refuse)
except ValueError as error:
    print("read as JSON:", error)
    print("as described: the artifact was accepted, and its table cannot be read as JSON, by a browser neither")
else:
    raise SystemExit("changed")
PYTHON
