"""Bags in object stores: at URLs that fsspec knows."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tao_lora_ros.fleet.errors import FleetError

# What file systems call the time at which a file was written, or a digest of its content.
_TIMES = (
    *("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "last_modified", "Last-Modified"),
    *("mtime", "created"),
)


def bags_at(url: str, suffixes: tuple[str, ...]) -> list[str]:
    """The URLs of all bags below one, by one listing; a folder with metadata.yaml is one bag.

    A URL that ends as a bag does is one, also where it is not there: it is a row with that reason.

    Raises:
        FleetError: there is no bag, or the store cannot be asked.
    """
    with _files_at(url) as (files, path):
        pattern, found = glob.has_magic(path), []
        for name in sorted(files.glob(path) if pattern else [path]):
            below = sorted(files.find(name))
            folders = {_parent(file) for file in below if file.endswith(("/metadata.yaml", ".db3"))}
            single = [f for f in below if f.endswith(suffixes) and _parent(f) not in folders]
            found += sorted([*folders, *single])
        if not found and path.endswith(suffixes) and not pattern:
            return [url]
        if not found:
            raise FleetError(f"{url}: no bag here")
        return [str(files.unstrip_protocol(place)) for place in found]


def _parent(file: str) -> str:
    return file.rpartition("/")[0]


def listed_at(url: str) -> list[tuple[str, int, str]]:
    """Name, size and time of each file of a bag; 0 and empty where the store does not say.

    Raises:
        FleetError: the store cannot be asked.
    """
    with _files_at(url) as (files, path):
        found = []
        for file, info in sorted(files.find(path, detail=True).items()):
            known = info if _time(info) else files.info(file)
            found.append((file, known.get("size") or 0, _time(known)))
        return found


def _time(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in _TIMES if info.get(key)), "")


def fetch(url: str, folder: Path) -> Path:
    """Copy a bag into a folder; where it is now.

    Raises:
        FleetError: it cannot be fetched.
    """
    with _files_at(url) as (files, path):
        bag = folder / path.rstrip("/").rpartition("/")[2]
        for file in files.find(path):
            local = bag / file.removeprefix(path).lstrip("/")
            if ".." in local.parts:  # a store's names may be anything
                raise FleetError(f"{url}: a file is called {file}, which leads out of it")
            local.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(file, str(local))
        return bag


@contextmanager
def _files_at(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the path in it; whatever it raises within names the URL."""
    try:
        import fsspec

        yield fsspec.core.url_to_fs(url)
    except FleetError:
        raise
    except (ImportError, ValueError) as error:
        raise FleetError(f"{url}: {error}; URLs need fsspec and its package for them") from None
    except Exception as error:  # each store has errors of its own
        raise FleetError(f"{url}: {type(error).__name__}: {error}") from None
