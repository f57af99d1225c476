"""Which model labels, in a form that can travel to the processes and machines that do it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pyimagesearch.backbones.network import external_network
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.runtime.console import UserError, printable


@dataclass(frozen=True)
class ModelReference:
    """A model file of images, as one process names it for another.

    Attributes:
        path: of the model file, or URL.
        sha256: of the model, see ``model_file.ModelFile``.
        threshold: the score above which an image is an anomaly.
        backbone: the ONNX file of a model that does not contain its network, or None.
        extrapolates: as of ``Labeller``.
        labeller: the model, where this process has it, or was forked from one that has; it does
            not travel.
        group_thresholds: of its groups, in the order of their names; none where it has no groups.
    """

    path: str
    sha256: str
    threshold: float
    backbone: str | None = None
    extrapolates: bool = False
    labeller: Labeller | None = field(default=None, compare=False, repr=False)
    group_thresholds: tuple[float, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"labeller": None}

    @classmethod
    def to(cls, labeller: Labeller, path: str, backbone: str | None = None) -> ModelReference:
        """Name a model that this process has.

        Args:
            labeller: the model, with its threshold.
            path: where others can read it.
            backbone: as of the class.
        """
        thresholds = labeller.threshold, labeller.group_thresholds
        return cls(
            *(path, labeller.sha256, thresholds[0], backbone),
            *(labeller.extrapolates, labeller, thresholds[1]),
        )

    def threshold_of(self, name: str) -> float:
        """The threshold of an image of this name, in the process that has the model."""
        return self.threshold if self.labeller is None else self.labeller.for_image(name).threshold

    def open(self, measure_every: int = 1) -> Labeller:
        """Read the model, unless it is there, and open its networks.

        Args:
            measure_every: as of ``Labeller``.

        Raises:
            UserError: the model file is not what it was, or not usable.
            OSError: it cannot be read.
        """
        labeller = self.labeller
        if labeller is None:
            external = None if self.backbone is None else external_network(self.backbone)
            labeller = model_file.open_model(
                self.path, lambda path: Labeller.from_model(model_file.load_model(path), external)
            )
            if labeller.sha256 != self.sha256:
                raise UserError(f"{printable(self.path)}: the model file changed while it was used")
        model_file.open_model(self.path, lambda _: labeller.open_networks())
        groups = labeller.groups
        return replace(
            labeller,
            threshold=self.threshold,
            measure_every=measure_every,
            groups=None if groups is None else groups.with_thresholds(self.group_thresholds),
            extrapolates=self.extrapolates,
        )
