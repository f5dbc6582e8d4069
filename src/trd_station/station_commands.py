"""The commands `trd station ...`: a station's folder looked after, whether or not it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trd.cli.app import console, errors, shown
from trd.errors import RecipeError
from trd.extras import require
from trd.files import locked, write_bytes
from trd.progress import tracked
from trd_station.settings import Settings

station_app = typer.Typer(help="Look after a station's folder.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="The station's folder (`trd serve --data`).")]
DatabaseOption = Annotated[
    str,
    typer.Option("--database", envvar="TRD_DATABASE", help="SQLAlchemy URL; SQLite in the folder by default."),
]


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
    from trd_station.store.database import Database, check_kind, check_there
    from trd_station.store.files import Files

    url = Settings(data, database=database).url
    check_kind(data, url)
    check_there(url)
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
    from trd_station.store.database import check_kind, check_there

    if out.exists():
        raise RecipeError(f"{out} exists: choose a new folder")
    settings = Settings(data, database=database)
    check_kind(data, settings.url)
    check_there(settings.url)
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
    """Database, files, models and settings of one moment in an archive. The station may run."""
    require("trd station", "serve")
    from trd_station.backup.archive import write_backup
    from trd_station.store.database import check_kind, check_there

    url = Settings(data, database=database).url
    check_kind(data, url)
    check_there(url)
    written = write_backup(data, url, out, lambda members: tracked(members, "backup", len(members), console))
    console.print(
        f"{written.inspections} inspections, {written.files} files, models {', '.join(written.models) or 'none'}: "
        f"{shown(out)}",
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
