"""The routes of docs/station-api.md. `app.create_app` puts them together."""
