"""Lessons: a trained detector and labelled defects to a detector that knows them, or the reason why not.

`learn` is the whole; `parts` computes what is learned from and judged on, `heads` fits, `judge` compares out of fold.
"""
