"""Great Expectations' own pages on a validation, made to be read offline."""

import re
import shutil
from pathlib import Path
from typing import Any

_SITE = "gate"
# Style sheets, scripts and pictures of other hosts, one of which counts its readers.
_REMOTE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<link[^>]*\bhref=[\"']https?://[^>]*>|"
    r"<img[^>]*\bsrc=[\"']https?://[^>]*>"
)


def add_site(context: Any, folder: Path) -> None:
    """Make `folder` the place of the Data Docs of a context, before anything is validated in it."""
    context.add_data_docs_site(
        _SITE,
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
            "show_how_to_buttons": False,
        },
    )


def build_site(context: Any, folder: Path) -> None:
    """Write the pages of all that was validated in a context; they refer to no other host."""
    context.build_data_docs(site_names=[_SITE])
    for page in folder.rglob("*.html"):
        page.write_text(_REMOTE.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    # Fonts and animations for the style sheets and tours that are not there.
    for part in ("fonts", "images"):
        shutil.rmtree(folder / "static" / part, ignore_errors=True)
