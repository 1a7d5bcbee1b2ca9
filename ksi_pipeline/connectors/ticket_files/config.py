"""Connectors of kind `ticket_files` in connectors.yaml."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ksi_pipeline.connectors.base_config import ConnectorBase


class TicketFilesConfig(ConnectorBase):
    """One source of ticket files.

    Attributes:
        mapping: name of the file in mappings/, without .yaml.
        pattern: which names in the inbox are its files.
        stable_s: a file is whole that has not changed for so long.
        done_marker: take a file only once `<name>.done` lies beside it.
    """

    absent_question: ClassVar = "an hour without a ticket in a file"
    absent_choices: ClassVar = (
        "'zero' if the files hold every ticket of the time they cover; 'missing' if tickets may be "
        "left out or late"
    )

    questions: ClassVar = {"mapping": "Name of its file in mappings/, without .yaml"}

    kind: Literal["ticket_files"]
    mapping: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    pattern: str = "*"
    stable_s: float = Field(default=60.0, ge=0, le=86_400)
    done_marker: bool = False

    @property
    def mapping_name(self) -> str:
        """Name of its file in mappings/, without .yaml."""
        return self.mapping

    @model_validator(mode="after")
    def _is_not_asked(self) -> "TicketFilesConfig":
        if self.every is not None:
            raise PydanticCustomError(
                "not_asked",
                "every is for connectors that are asked; files are taken as they come",
            )
        return self
