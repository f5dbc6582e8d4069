"""The inspection station: a service around detectors, with history, review, thresholds and a watch for drift.

Nothing but `commands` is imported unless `trd serve` or `trd station` runs. It knows `trd.detector.Detector` and the
records, no method and no engine: `tests/test_architecture.py` lists all that it imports of `trd`. The routes are
described in docs/station-api.md, how it is run in docs/station.md.

commands.py         of the command line
settings.py         what a station is told at its start
store/              tables, migrations, files
work/               from an upload to a stored decision: queue, preparation, the model thread
shelf/              models of each class: load, self-test, serve, switch, roll back
deciding.py         two limits, what-if
watch/              measures and sequential tests
api/                routes
inputs/, outputs/   folders, replay, cameras; webhook, MQTT, OPC UA
"""
