"""From what came in to a stored decision: `jobs` (records), `parts` (one part's steps), `line` (queue and threads)."""
