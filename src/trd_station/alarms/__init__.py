"""What must not go on unseen: `rules` (when), `tally` (how the last parts went), `alarms` (raises them)."""
