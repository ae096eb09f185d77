"""Sample domains: small drawn datasets with the difficulties of real ones. A new one is one file, imported here."""

from naslora_core.data.synthetic.domains import leaf_lesions, mucosa_polyps, surface_cracks
from naslora_core.data.synthetic.domains.base import SAMPLE_DOMAINS, SampleDomain

__all__ = ["SAMPLE_DOMAINS", "SampleDomain", "leaf_lesions", "mucosa_polyps", "surface_cracks"]
