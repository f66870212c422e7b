"""Which attestations a job version gets: on for a release, and else as it was recorded before."""

from __future__ import annotations

from launch_action.core.dataclass import dataclass
from launch_action.core.inputs import Inputs
from launch_action.core.situation import Situation


@dataclass(frozen=True, slots=True)
class Attest:
    """What is to be attested. None: nothing is made, but what the same recording has is kept.

    `tool` is this program with its version, `builder` the URI of who vouches for the build, and
    `invocation` that of this run, empty where there is none.
    """

    sbom: bool | None = None
    provenance: bool | None = None
    tool: str = ""
    builder: str = ""
    invocation: str = ""

    @property
    def wanted(self) -> tuple[str, ...]:
        """What must be there, by the names of the options."""
        asked = (("sbom", self.sbom), ("provenance", self.provenance))
        return tuple(name for name, value in asked if value)

    @property
    def open(self) -> bool:
        """Whether nothing was asked for and nothing forbidden."""
        return self.sbom is None and self.provenance is None


def choose_attestations(inputs: Inputs, situation: Situation) -> Attest:
    """What was asked for; where nothing was, both for an event that is about a tag."""
    released = True if situation.event_tag else None
    return Attest(
        sbom=released if inputs.sbom is None else inputs.sbom,
        provenance=released if inputs.provenance is None else inputs.provenance,
        tool=situation.tool,
        builder=situation.builder,
        invocation=situation.invocation,
    )
