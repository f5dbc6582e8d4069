"""Labelled defects as directions away from good parts: linear discriminants over the other branches' maps and the
patch statistics' features, one for each kind of defect.

Good parts are many, so that the scatter of what is usual is known well; of a defect little more than a mean is. So a
kind is the direction from the good parts' mean to that of its defects, whitened by the good parts' scatter: a closed
form that one defect can fill and more make steadier.
"""
