"""Teaching a class of parts: good parts are collected, checked, trained on, tried and put in service.

`collection` is the folder of good parts, `settings` what a class is taught with, `jobs` the records of long work,
`worker` the process that does it, `queue` the thread that starts it, `teaching` what the routes call. `trial` and
`lesson` are jobs on judged parts, `labelled` their folders.
"""
