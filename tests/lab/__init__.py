"""Builds and runs images where no registry and no container engine may be at hand.

    with Lab() as lab:
        image = lab.build("../payments", target="release")
        with lab.run(image) as service:
            urllib.request.urlopen(service.url + "/livez")

tests/lab/README.md is the guide.
"""

from .builders import external_images
from .lab import Lab
from .oci import Image
from .registry import Registry
from .runtime import Container, Finished
from .system import LabError, Missing

__all__ = [
    "Container",
    "Finished",
    "Image",
    "Lab",
    "LabError",
    "Missing",
    "Registry",
    "external_images",
]
