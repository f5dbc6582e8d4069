"""The commands `trd station ...`: a station's folder looked after, whether or not it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trd.cli.app import console, errors, shown
from trd.errors import DataError, RecipeError
from trd.extras import require
from trd.files import locked, write_bytes
from trd.progress import tracked
from trd_station.settings import KeepInputs, Settings

if TYPE_CHECKING:
    from sqlalchemy import URL

station_app = typer.Typer(help="Look after a station's folder.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="The station's folder (`trd serve --data`).")]
DatabaseOption = Annotated[
    str,
    typer.Option("--database", envvar="TRD_DATABASE", help="SQLAlchemy URL; SQLite in the folder by default."),
]

AuditOption = Annotated[
    float | None, typer.Option("--audit", min=0, max=1, help="Share of parts drawn for audit; 0.01 at first.")
]
KeepInputsOption = Annotated[
    KeepInputs | None, typer.Option("--keep-inputs", help="Whose files stay; those of all at first.")
]
KeepDaysOption = Annotated[
    float | None, typer.Option("--keep-days", min=0, help="Files older than this go; 90 at first.")
]
KeepGbOption = Annotated[
    float | None, typer.Option("--keep-gb", min=0, help="Oldest files go beyond this; 50 at first.")
]


def given_settings(
    audit: float | None, keep: KeepInputs | None, keep_days: float | None, keep_gb: float | None
) -> dict[str, Any]:
    """Of those options that were given, by their names in `Settings`."""
    keep_bytes = None if keep_gb is None else round(keep_gb * 1e9)
    values = {"audit_rate": audit, "keep_inputs": keep, "keep_days": keep_days, "keep_bytes": keep_bytes}
    return {name: value for name, value in values.items() if value is not None}


@station_app.command()
def token(
    data: FolderArgument,
    name: Annotated[str, typer.Option("--name", help="Whose it is; one of the same name is replaced.")],
    role: Annotated[str, typer.Option("--role", help="viewer, operator, engineer or admin.")] = "operator",
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
) -> None:
    """Make a token for a person or a machine; it is shown once. A running station takes it at once."""
    from trd_station.tokens import Tokens

    data.mkdir(parents=True, exist_ok=True)
    tokens = Tokens(data)
    if remove:
        tokens.remove(name)
        console.print(f"the token of {name} is gone", markup=False)
    else:
        typer.echo(tokens.add(name, role))
        errors.print(f"the token of {name} ({role}); it is stored as a digest only, so keep it", markup=False)


@station_app.command()
def reconcile(
    data: FolderArgument,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare it with its name.")] = False,
    database: DatabaseOption = "",
) -> None:
    """Bring files and rows into agreement after a crash or a restored backup. The station must be stopped."""
    require("trd station", "serve")
    from trd_station.store import retention
    from trd_station.store.database import Database
    from trd_station.store.files import Files

    url = _stored(Settings(data, database=database))
    with locked(data, "reconciling"):
        opened = Database(url)
        try:
            result = retention.reconcile(opened, Files(data), verify)
        finally:
            opened.close()
    console.print(
        f"{result.checked} files: {result.orphans} that no row names were deleted; {result.missing} inspections whose "
        f"files are missing were marked; {len(result.damaged)} files are damaged",
        highlight=False,
    )
    for name in result.damaged:
        errors.print(f"damaged: {name}", markup=False)
    if result.damaged:
        raise typer.Exit(1)


@station_app.command()
def export(
    data: FolderArgument,
    run: Annotated[list[str], typer.Argument(help="The detectors that it serves.")],
    class_name: Annotated[str, typer.Option("--class", help="Of which class.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    verdict: Annotated[str, typer.Option("--verdict", help="Comma-separated: good, defect, unsure.")] = "good,defect",
    database: DatabaseOption = "",
) -> None:
    """Judged parts as a data folder for `trd train`. The station must be stopped (its page exports too)."""
    require("trd station", "serve")
    from trd_station.export import entries
    from trd_station.station import Station

    if out.exists():
        raise RecipeError(f"{out} exists: choose a new folder")
    settings = Settings(data, database=database)
    _stored(settings)
    station = Station.open(settings, run)
    try:
        count = 0
        for entry in entries(station, class_name, tuple(verdict.split(","))):
            write_bytes(out / class_name / entry.place, entry.read(), durable=False)
            count += 1
    finally:
        station.close()
    console.print(f"{count} files in {shown(out)}", markup=False, highlight=False)


@station_app.command()
def backup(
    data: FolderArgument,
    out: Annotated[Path, typer.Option("--out", help="A new file; its name may end in .zip.")],
    database: DatabaseOption = "",
) -> None:
    """Database, files, models, what is taught and settings of one moment in an archive. The station may run."""
    require("trd station", "serve")
    from trd_station.backup.archive import write_backup

    url = _stored(Settings(data, database=database))
    written = write_backup(data, url, out, lambda members: tracked(members, "backup", len(members), console))
    console.print(
        f"{written.inspections} inspections, {written.files} files, models {', '.join(written.models) or 'none'}, "
        f"taught {', '.join(written.taught) or 'nothing'}: {shown(out)}",
        markup=False,
        highlight=False,
    )
    if written.missing:
        errors.print(f"the files of {written.missing} inspections have gone by retention; they are marked so")
    for text in written.lost:
        errors.print(f"not in it: {text}", markup=False)


@station_app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="What `trd station backup` wrote.")],
    data: Annotated[Path, typer.Argument(help="A new folder, or an empty one.")],
    database: Annotated[
        str, typer.Option("--database", envvar="TRD_DATABASE", help="An empty one, in the place of SQLite in DATA.")
    ] = "",
) -> None:
    """Make a station's folder of a backup, here or on another machine."""
    require("trd station", "serve")
    from trd_station.backup.restore import restore as restored

    url = Settings(data, database=database).url if database else None
    result = restored(archive, data, url, lambda names: tracked(names, "restore", len(names), console))
    console.print(
        f"{result.inspections} inspections and the models {', '.join(result.models) or 'none'}, as they were at "
        f"{result.at}; serve them with `trd serve --data {shown(data)}`",
        markup=False,
        highlight=False,
    )


@station_app.command()
def tokens(data: FolderArgument) -> None:
    """Whose tokens there are, their roles, and when they were made and last used."""
    from trd_station import times
    from trd_station.tokens import Tokens

    known = Tokens(data)
    for caller in sorted(known.callers, key=lambda caller: caller.name):
        made, seen = (times.to_iso_or_none(at) or "-" for at in (caller.made, known.seen(caller.name)))
        typer.echo(f"{caller.name}\t{caller.role}\tmade {made}\tlast used {seen}")
    if not known.callers:
        console.print("no tokens: only this machine can connect")


@station_app.command()
def settings(
    data: FolderArgument,
    audit: AuditOption = None,
    keep: KeepInputsOption = None,
    keep_days: KeepDaysOption = None,
    keep_gb: KeepGbOption = None,
) -> None:
    """Show audit rate and retention, or change them; a running station takes them within seconds."""
    require("trd station", "serve")
    from trd_station import kept_settings

    if given := given_settings(audit, keep, keep_days, keep_gb):
        if not data.is_dir():
            raise DataError(f"{data} is no folder of a station")
        kept_settings.keep(data, kept_settings.checked(given))
    now = kept_settings.with_kept(Settings(data))
    typer.echo(
        f"audit {now.audit_rate:g}\nkeep-inputs {now.keep_inputs}\nkeep-days {now.keep_days:g}\n"
        f"keep-gb {now.keep_bytes / 1e9:g}"
    )


@station_app.command()
def status(data: FolderArgument) -> None:
    """Disk, inputs and outputs of the station that runs in the folder."""
    from trd_station.local import ask

    state = ask(data, "GET", "/v1/administration")
    disk = state["disk"]
    typer.echo(
        f"files {disk['files_bytes'] / 1e9:.3g} GB, database {disk['database_bytes'] / 1e9:.3g} GB, free "
        f"{disk['free_bytes'] / 1e9:.3g} of {disk['total_bytes'] / 1e9:.3g} GB"
    )
    typer.echo(f"last backup {state['last_backup'] or '-'}")
    _echo_attached(state)


def _echo_attached(state: dict[str, Any]) -> None:
    for kind in ("inputs", "outputs"):
        for attachment in state[kind]:
            waiting = f", {attachment['waiting']} wait" if attachment["waiting"] else ""
            fault = f": {attachment['fault']}" if attachment["fault"] else ""
            typer.echo(
                f"{kind[:-1]} {attachment['name']} ({attachment['where']}): {attachment['state']}{waiting}{fault}"
            )


@station_app.command()
def test(
    data: FolderArgument,
    name: Annotated[str, typer.Argument(help="An input or an output, as `trd station status` names it.")],
) -> None:
    """Try an input or output of the running station: outputs send a test message."""
    from trd_station.local import ask

    state = ask(data, "GET", "/v1/administration")
    places = {
        attachment["name"]: f"{kind}/{place}"
        for kind in ("inputs", "outputs")
        for place, attachment in enumerate(state[kind])
    }
    if name not in places:
        raise DataError(f"the station has no input or output '{name}'; there are: {', '.join(places) or 'none'}")
    result = ask(data, "POST", f"/v1/administration/{places[name]}/test")
    console.print(result["text"], markup=False, highlight=False)
    if not result["passed"]:
        raise typer.Exit(1)


def _stored(settings: Settings) -> URL:
    """The URL of a database that is there and of the folder's kind. Raises OutputError for any other."""
    from trd_station.store.database import check_kind, check_there

    check_kind(settings.data, settings.url)
    check_there(settings.url)
    return settings.url
