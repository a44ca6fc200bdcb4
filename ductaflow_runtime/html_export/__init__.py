"""An executed notebook as one page that needs nothing from outside."""
