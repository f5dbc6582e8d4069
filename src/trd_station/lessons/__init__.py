"""Lessons from verdicts: `parts` (what one is made of), `service` (when it served), `gain` (what it brought), `lessons`
(asks for them, lists them, watches them)."""
