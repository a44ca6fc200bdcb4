"""The table of bad inputs, section by section as docs/bad-inputs.md shows it."""

from __future__ import annotations

from tests.bad_inputs import arguments, commands, configs, files, flows, folder, frames, settings
from tests.bad_inputs.case import Section

SECTIONS: tuple[Section, ...] = (
    *frames.SECTIONS,
    *configs.SECTIONS,
    *files.SECTIONS,
    *arguments.SECTIONS,
    *settings.SECTIONS,
    *flows.SECTIONS,
    *commands.SECTIONS,
    *folder.SECTIONS,
)
