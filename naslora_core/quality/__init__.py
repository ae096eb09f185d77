"""The gate: every image and mask is measured, judged by Great Expectations, and named if it fails."""
