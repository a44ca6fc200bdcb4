"""Write docs/bad-inputs.md anew: `make bad-inputs`. Then read what has changed aloud."""

from tests.bad_inputs.page import PAGE, rendered, said_by_table

PAGE.write_text(rendered(said_by_table()), encoding="utf-8")
