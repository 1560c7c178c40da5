"""Where a local file may lie: under data.folder, whatever the params say."""

from pathlib import Path, PurePath

from more_repro.files.rows import InputError


def local_path(folder: str | Path, name: str | None, key: str) -> Path:
    """The file `name` of data.folder. Raises InputError if it is not given, absent, or outside the folder.

    key: of the params that names the file, such as "sources.helpful.train".
    """
    where, field = f"params {key}", key.rpartition(".")[2]
    if name is None:
        raise InputError(where, field, None, f"the name of a file under {folder}")
    inside = PurePath(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise InputError(where, field, name, f"a path inside {folder}, without '..'")
    path = Path(folder) / inside
    try:
        stays, exists = path.resolve().is_relative_to(Path(folder).resolve()), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a NUL, or a link to itself
        raise InputError(where, field, name, f"the name of a file under {folder} ({said(error)})") from None
    if not stays:
        raise InputError(where, field, name, f"a file that stays inside {folder}; this link leads out of it")
    if not exists:
        raise InputError(where, field, name, f"a file that exists at {path}")
    return path


def said(error: Exception) -> str:
    """What an error says, without the number and the path of the system's."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
