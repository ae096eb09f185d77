"""Sample domains: small generated datasets. To add one, write its file and import it here."""

from naslora_core.data.synthetic.domains import leaf_lesions, mucosa_polyps, surface_cracks
from naslora_core.data.synthetic.domains.base import SAMPLE_DOMAINS, SampleDomain

__all__ = ["SAMPLE_DOMAINS", "SampleDomain", "leaf_lesions", "mucosa_polyps", "surface_cracks"]
