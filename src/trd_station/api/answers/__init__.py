"""What JSON answers hold, for the OpenAPI document. Answers themselves are plain dictionaries (`serialization`) and are
not validated again when they are sent; `tests/station/test_answers.py` holds real answers of every route to these
models.
"""
