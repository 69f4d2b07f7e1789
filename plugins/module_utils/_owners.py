# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root in the folders of a less trusted user: works there as that user, follows no link, runs no file that the user can replace."""

from __future__ import annotations

import errno
import json
import os
import pwd
import socket
import stat
from array import array
from pathlib import Path
from typing import IO, Any, Callable, Iterator, NamedTuple

from ._errors import Problem, UserError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS = 40  # the kernel follows no more
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Owner(NamedTuple):
    """A user other than root. `name` is None for a number that no user has; `home` is then the root folder."""

    uid: int
    gid: int
    name: str | None
    home: str


def owner_of(path: Path) -> Owner | None:
    """As whom root has to work below this path: the first user on the way to it who is not root, links and their targets included.

    None where the way is root's alone, and where this process is not root's.
    """
    if os.geteuid() != 0:
        return None
    for step, _rest in _steps(path):
        found = step.lstat()
        if found.st_uid != 0:
            return _owner(found.st_uid, found.st_gid)
    return None


def _owner(uid: int, gid: int) -> Owner:
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return Owner(uid, gid, None, "/")
    return Owner(uid, user.pw_gid, user.pw_name, user.pw_dir)


def _steps(path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """What exists of the way to a path, as the kernel goes it: from the root folder down, and from each link to where it leads.

    With each step, what is left of the way behind it. No link stands before the last part of a step.
    """
    here, rest, links = Path("/"), list(reversed(path.absolute().parts)), 0
    while rest and links < _MOST_LINKS:
        part = rest.pop()
        step = here.parent if part == ".." else here / part
        if not os.path.lexists(step):
            return
        yield step, tuple(reversed(rest))
        if step.is_symlink():
            links, rest = links + 1, [*rest, *reversed(Path(os.readlink(step)).parts)]
        else:
            here = step


def root_alone_decides(path: Path) -> bool:
    """Whether no one but root can put another file there: each folder and link on the way is root's, and no one else may write to it."""
    found = [step.lstat() for step, _rest in _steps(path)]
    return all(entry.st_uid == 0 and (not entry.st_mode & _OTHERS_WRITE or _is_kept(entry)) for entry in found)


def _is_kept(entry: os.stat_result) -> bool:
    """A link, whose mode says nothing, and a folder such as /tmp, where others cannot replace what is root's."""
    return stat.S_ISLNK(entry.st_mode) or (stat.S_ISDIR(entry.st_mode) and bool(entry.st_mode & stat.S_ISVTX))


def as_owner(owner: Owner | None, work: Callable[[], Any]) -> Any:
    """What `work` returns, a JSON value, when it is run as that user in a process of its own; without an owner it is run as it is.

    Raises what `work` raises: UserError, OSError, and RuntimeError for anything else.
    """
    if owner is None:
        return work()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            _become(owner)
            with os.fdopen(writer, "w", encoding="utf-8") as answer:
                json.dump(_outcome(work), answer)
        finally:
            os._exit(0)  # never back into the caller's code, nor through its exit handlers
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return _result(json.loads(text or '{"error": "it ended without an answer"}'))


def _become(owner: Owner) -> None:
    if owner.name is None:
        os.setgroups([])
    else:
        os.initgroups(owner.name, owner.gid)
    os.setgid(owner.gid)
    os.setuid(owner.uid)
    os.environ.update({"HOME": owner.home, "USER": owner.name or "", "LOGNAME": owner.name or ""})
    os.chdir("/")


def _outcome(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": work()}
    except UserError as error:
        return {"problems": [list(problem) for problem in error.problems]}
    except OSError as error:
        return {"system": [error.errno, error.strerror, error.filename and str(error.filename)]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _result(outcome: dict[str, Any]) -> Any:
    if "problems" in outcome:
        raise UserError(*(Problem(*problem) for problem in outcome["problems"]))
    if "system" in outcome:
        raise OSError(*outcome["system"])
    if "error" in outcome:
        raise RuntimeError(outcome["error"])
    return outcome["value"]


def open_as_owner(owner: Owner | None, path: Path) -> IO[bytes]:
    """A file opened for reading as that user, or as root where root alone decides what stands there. Raises OSError.

    A file of root's in the user's folder is opened too, if the way there has no link and the file no other name.
    """
    if owner is None or root_alone_decides(path):
        return os.fdopen(_regular(path), "rb")
    try:
        return _handed_over(owner, path)
    except PermissionError:
        entry = _without_links(path)
        if entry is None:
            raise
        return os.fdopen(entry, "rb")


def _without_links(path: Path) -> int | None:
    """A file with one name, opened without following a link of the user's; None where it cannot be."""
    folder = _opened(path.parent)
    if folder is None:
        return None
    try:
        entry = os.open(path.name, _OPEN, dir_fd=folder)
    except OSError:
        return None
    finally:
        os.close(folder)
    found = os.fstat(entry)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return entry
    os.close(entry)
    return None


def _handed_over(owner: Owner, path: Path) -> IO[bytes]:
    """A file that the user's process has opened."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        as_owner(owner, lambda: _send(theirs, path))
        _data, handed, _flags, _from = mine.recvmsg(1, socket.CMSG_SPACE(array("i").itemsize))
    (descriptor,) = array("i", handed[0][2])
    return os.fdopen(descriptor, "rb")


def _send(channel: socket.socket, path: Path) -> None:
    """Hands an open file to the other end."""
    with os.fdopen(_regular(path), "rb") as file:
        channel.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file.fileno()]))])


def _regular(path: Path) -> int:
    """A file opened for reading; what is no file, such as a pipe without an end, is not waited for. Raises OSError."""
    entry = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(entry).st_mode):
        os.close(entry)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return entry


def give_back(owner: Owner | None, folder: Path) -> None:
    """Gives the user what root has made in one of the user's folders in earlier times. Files with several names stay as they are:
    one of these names may stand elsewhere. So does everything behind a link that is not root's.
    """
    top = None if owner is None else _opened(folder)
    if owner is None or top is None:
        return
    try:
        for _path, folders, files, here in os.fwalk(".", dir_fd=top):
            for name in (".", *folders, *files):
                _give(owner, name, here)
    finally:
        os.close(top)


def _opened(folder: Path) -> int | None:
    """A folder below one of a user's, opened without following a link of that user's; None where it cannot be."""
    of_users = ((step, rest) for step, rest in _steps(folder) if step.lstat().st_uid != 0)
    first, rest = next(of_users, (None, ()))
    if first is None or ".." in rest:
        return None
    try:
        here = os.open(first.parent, _OPEN | os.O_DIRECTORY)
    except OSError:
        return None
    for part in (first.name, *rest):
        above = here
        try:
            here = os.open(part, _OPEN | os.O_DIRECTORY, dir_fd=above)
        except OSError:
            return None
        finally:
            os.close(above)
    return here


def _give(owner: Owner, name: str, folder: int) -> None:
    try:
        entry = os.open(name, _OPEN, dir_fd=folder)
    except OSError:  # a link, or it has gone meanwhile
        return
    try:
        found = os.fstat(entry)
        ours = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
        if ours and found.st_uid == 0:
            os.fchown(entry, owner.uid, owner.gid)
    finally:
        os.close(entry)
