#!/bin/sh
# GDAL takes GeoJSON in pixels for degrees, also where the file says that it has no coordinate system.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyogrio==0.13.0 numpy==2.3.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys

import pyogrio

print(f"pyogrio {pyogrio.__version__}, GDAL {'.'.join(map(str, pyogrio.__gdal_version__))}")
ring = [[0, 0], [700, 0], [700, 500], [0, 500], [0, 0]]
feature = {"type": "Feature", "properties": {"class": "leaf"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
plain = {"type": "FeatureCollection", "features": [feature]}
found = {}
for name, more in (
    ("plain", {}),
    ("crs null, which GeoJSON of 2008 had for 'none can be assumed'", {"crs": None}),
    ("a foreign member, as RFC 7946 allows", {"coordinates_are": "pixels"}),
):
    with open("pixels.geojson", "w") as file:
        json.dump(plain | more, file)
    about = pyogrio.read_info("pixels.geojson")
    found[name] = (about["crs"], tuple(about["total_bounds"]))
    print(f"{name}: crs {about['crs']}, bounds {found[name][1]}, fields {about['fields'].tolist()}")
as_described = set(found.values()) == {("EPSG:4326", (0.0, 0.0, 700.0, 500.0))}
print("as described: 700 degrees of longitude" if as_described else "changed")
sys.exit(not as_described)
PYTHON
