"""Lessons: a trained detector, labelled defects and good parts to a detector that knows them, or the reason why not.

`learn` is the whole; `given` refuses what cannot teach. `parts` computes what is learned from and judged on, `heads`
fits defects, `judge` compares out of fold by `scores`, `labels` looks for defects among good parts. `good_parts` grows
a detector's evidence and judges that, `taking` makes it a detector.
"""
