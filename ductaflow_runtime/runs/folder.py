"""A folder held open, and what is done to the files below it: no link below it is ever followed.

What lies in a folder of results may come from anybody, and what a record lists is moved and deleted. So a name leads
through real folders only, each opened from the one above; where it does not, there is nothing of ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ductaflow_runtime.errors import ProjectError
from ductaflow_runtime.files import sync

_RELATIVE = os.open in os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_FOLDER = "{path} is no folder, nor can one be made there: move away what is in its place"
_AT_ONCE = 32  # open files
_SMALL = 1 << 20  # bytes
# The file system, or the one on the other side, has no second names for a file.
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS}


@dataclass(frozen=True)
class Folder:
    """An open folder. Where the system cannot work relative to one, its path stands for it."""

    path: Path
    handle: int | None

    def has(self, name: str) -> bool:
        """Whether something of that name is directly in it, be it a link that leads nowhere."""
        return self.kind(name) is not None

    def kind(self, name: str) -> int | None:
        """The type of what is directly in it under a name, as in `stat`; `None` if there is nothing."""
        try:
            return stat.S_IFMT(os.lstat(self._at(name), dir_fd=self.handle).st_mode)
        except OSError:
            return None

    def holds(self, name: str) -> bool:
        """Whether it holds a file, at any depth, that no link leads to."""
        with contextlib.suppress(OSError), self.parent_of(name) as (folder, leaf):
            return folder.kind(leaf) not in (None, stat.S_IFDIR)
        return False

    def make(self, name: str) -> None:
        """Make a folder directly in it."""
        os.mkdir(self._at(name), dir_fd=self.handle)

    def make_sure_of(self, name: str) -> None:
        """Make a folder directly in it, unless another process has just done so."""
        with contextlib.suppress(FileExistsError):
            self.make(name)

    @contextlib.contextmanager
    def enter(self, name: str) -> Iterator[Folder]:
        """A folder directly in it; `OSError` if it is none, or a link."""
        with _opened(self._at(name), self.path / name, self.handle) as inner:
            yield inner

    @contextlib.contextmanager
    def parent_of(self, name: str, *, make: bool = False) -> Iterator[tuple[Folder, str]]:
        """The folder, at any depth, in which a file lies, and the file's name there; made if need be."""
        with contextlib.ExitStack() as stack:
            folder, (*above, leaf) = self, name.split("/")
            for each in above:
                if make and not folder.has(each):
                    folder.make_sure_of(each)
                folder = stack.enter_context(folder.enter(each))
            yield folder, leaf

    def copy_to(self, name: str, other: Folder) -> bool:
        """Give a file a second place, the same name below `other`, without moving its bytes where that can be.

        False if there is no such file, or if `other` has it already.
        """
        if not self.holds(name):
            return False
        with self.parent_of(name) as (source, leaf), other.parent_of(name, make=True) as (target, _):
            if target.has(leaf):
                return False
            _link_or_copy(source, leaf, target)
            target.sync()
        return True

    def remove(self, name: str) -> None:
        """Delete a file, and the folders that this leaves empty; nothing happens if it is not there."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), self.parent_of(name) as (folder, leaf):
            if folder.kind(leaf) not in (None, stat.S_IFDIR):
                os.unlink(folder._at(leaf), dir_fd=folder.handle)
        above = name.split("/")[:-1]
        while above:
            with contextlib.suppress(OSError), self.parent_of("/".join(above)) as (folder, leaf):
                os.rmdir(folder._at(leaf), dir_fd=folder.handle)
            above.pop()

    def remove_tree(self, name: str) -> None:
        """Delete a folder with all that is in it."""
        if self.kind(name) == stat.S_IFDIR:
            shutil.rmtree(self._at(name), dir_fd=self.handle)
        elif self.has(name):
            os.unlink(self._at(name), dir_fd=self.handle)

    def rename(self, old: str, new: str) -> None:
        """Give something directly in it another name."""
        os.rename(self._at(old), self._at(new), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def move_to(self, name: str, other: Folder) -> None:
        """Move something directly in it to another folder on the same disk."""
        self.move_to_as(name, other, name)

    def move_to_as(self, name: str, other: Folder, new: str) -> None:
        """The same, with another name there."""
        os.rename(self._at(name), other._at(new), src_dir_fd=self.handle, dst_dir_fd=other.handle)

    def sync(self) -> None:
        """Have its names outlive a power cut, where the system can tell the disk."""
        if self.handle is not None:
            sync(self.handle)

    def sync_files(self, names: Sequence[str]) -> None:
        """Have the content of files outlive a power cut; raises `OSError` where the disk does not take it.

        Several are under way to the disk before one is waited for: together they cost about half.
        """
        for first in range(0, len(names), _AT_ONCE):
            with contextlib.ExitStack() as stack:
                opened = [self._open(name, stack) for name in names[first : first + _AT_ONCE]]
                handles = [handle for handle in opened if handle is not None]
                for handle in handles:
                    _begin_to_write(handle)
                for handle in handles:
                    sync(handle)

    def sync_folders_of(self, names: Iterable[str]) -> None:
        """Have the names of files in folders below, and of those folders, outlive a power cut."""
        folders = {above for name in names for above in PurePosixPath(name).parents} - {PurePosixPath(".")}
        for above in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                self.parent_of(f"{above}/.") as (folder, _),
            ):
                folder.sync()

    def _open(self, name: str, stack: contextlib.ExitStack) -> int | None:
        """A descriptor of a regular file, open as long as `stack` is."""
        with contextlib.suppress(OSError), self.parent_of(name) as (folder, leaf):
            if folder.kind(leaf) == stat.S_IFREG:
                handle = os.open(folder._at(leaf), os.O_RDONLY | _NO_LINK, dir_fd=folder.handle)
                stack.callback(os.close, handle)
                return handle
        return None

    def _at(self, name: str) -> str:
        return name if self.handle is not None else os.path.join(self.path, name)


def _begin_to_write(handle: int) -> None:
    """Have the system write a file without waiting for it (Linux); a large one would leave its memory for that."""
    with contextlib.suppress(OSError, AttributeError):
        if os.fstat(handle).st_size <= _SMALL:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def make_folders(path: Path) -> None:
    """A folder and those above it; raises `ProjectError` if something else is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ProjectError(_NO_FOLDER.format(path=path)) from None


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    """A folder by its path, which may lead through links: that is for its owner to say."""
    handle = os.open(path, _FOLDER) if _RELATIVE else None
    try:
        yield Folder(path, handle)
    finally:
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def open_below(base: Path, inside: Path, *, make: bool = False) -> Iterator[Folder | None]:
    """A folder below another one, `None` if it is not there; raises `ProjectError` if a link is on the way."""
    with contextlib.ExitStack() as stack:
        folder: Folder | None = stack.enter_context(open_folder(base))
        for name in inside.parts:
            assert folder is not None
            kind = folder.kind(name)
            if kind == stat.S_IFLNK:
                raise ProjectError(
                    f"{folder.path / name} is a link; files are moved and deleted there, so put a folder in its place"
                )
            if kind not in (None, stat.S_IFDIR):
                raise ProjectError(_NO_FOLDER.format(path=folder.path / name))
            if kind is None and not make:
                folder = None
                break
            if kind is None:
                folder.make_sure_of(name)
            folder = stack.enter_context(folder.enter(name))
        yield folder


@contextlib.contextmanager
def _opened(at: str, path: Path, within: int | None) -> Iterator[Folder]:
    if not _RELATIVE:
        if os.path.islink(at) or not os.path.isdir(at):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", at)
        yield Folder(path, None)
        return
    try:
        handle = os.open(at, _FOLDER | _NO_LINK, dir_fd=within)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, "a link", at) from None
        raise
    try:
        yield Folder(path, handle)
    finally:
        os.close(handle)


def _link_or_copy(source: Folder, name: str, target: Folder) -> None:
    """A second name for a file; where that cannot be, a copy that is whole before it has the name."""
    old, new = source._at(name), target._at(name)
    try:
        os.link(old, new, src_dir_fd=source.handle, dst_dir_fd=target.handle, follow_symlinks=False)
        return
    except (NotImplementedError, TypeError):
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    if source.kind(name) == stat.S_IFLNK:
        os.symlink(os.readlink(old, dir_fd=source.handle), new, dir_fd=target.handle)
    elif source.kind(name) == stat.S_IFREG:
        part = target._at(f".{name[:80]}.part")
        reader = os.open(old, os.O_RDONLY | _NO_LINK, dir_fd=source.handle)
        mode = stat.S_IMODE(os.fstat(reader).st_mode)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=target.handle)
        writer = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=target.handle)
        with open(reader, "rb") as from_file, open(writer, "wb") as to_file:
            shutil.copyfileobj(from_file, to_file)
            to_file.flush()
            told = os.fstat(from_file.fileno())
            os.fsync(to_file.fileno())
        os.utime(part, ns=(told.st_atime_ns, told.st_mtime_ns), dir_fd=target.handle)
        os.rename(part, new, src_dir_fd=target.handle, dst_dir_fd=target.handle)
