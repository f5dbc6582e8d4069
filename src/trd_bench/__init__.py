"""The researcher's wing: published tables in one command, recipes compared. Imports `trd`; `trd` never imports it."""
