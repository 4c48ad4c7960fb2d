"""A server of one's own, for work on one machine."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from curriculum import cache
from curriculum._binary import find_binary
from curriculum._onnxruntime import environment
from curriculum.connection import SERVER, Connection
from curriculum.errors import LocalServerError
from curriculum.retry import Retry
from curriculum.target import Target
from curriculum.tls import TlsConfig

if TYPE_CHECKING:
    from typing_extensions import Self

_TICK = 0.02
_LOG_TAIL = 2000


@dataclass(frozen=True)
class _Record:
    """What the keeper wrote about the server it runs."""

    address: str
    """HOST:PORT."""
    keeper: int
    flags: list[str]


class Server:
    """`curriculum serve` on a free port of this machine, with its data in a folder.

    A folder has one server, which all processes that ask for it share: the ranks of a job, say. It stops when the last
    of them closes it or ends, however it ends. Forked children may use the server while their parent does.
    """

    address: str
    """http://HOST:PORT, on loopback: plain text, whatever CURRICULUM_TLS_* say about other servers."""
    folder: Path
    """Holds `data`, the data folder, and `log`, the server's log."""

    def __init__(self, folder: Path, lock: int, record: _Record) -> None:
        """Use `local`."""
        self.folder = folder
        self.address = f"http://{record.address}"
        self._lock: int | None = lock
        self._pid = os.getpid()
        _servers.add(self)

    @classmethod
    def local(
        cls,
        cache_dir: str | Path | None = None,
        *,
        model: str | None = None,
        arguments: Sequence[str] = (),
        timeout: float = 120.0,
    ) -> Self:
        """The server of `cache_dir`, started if nobody uses it yet.

        `cache_dir`: default `server` in CURRICULUM_CACHE, or in ~/.cache/curriculum. What was published there is there
        again. `model` and `arguments`: as `curriculum serve --help` lists them, when this call starts it. `timeout`:
        seconds it may take. ONNX Runtime is that of ORT_DYLIB_PATH, else what lies beside the binary, else the package
        that this Python has.

        Raises LocalServerError with the end of the log when it does not start, or runs already with other arguments;
        FileNotFoundError when the binary is not installed.
        """
        folder = Path(cache_dir) if cache_dir is not None else cache.folder() / "server"
        folder = folder.expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
        flags = [*(("--model", model) if model is not None else ()), *arguments]
        end = time.monotonic() + timeout
        lock = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # While a server that nobody uses stops, this waits.
            _locked(lock, fcntl.LOCK_SH, end, folder)
            with _starting(folder, end):
                record = _running(folder) or _start(folder, flags, end)
        except BaseException:
            os.close(lock)
            raise
        if flags and record.flags != flags:
            os.close(lock)
            raise LocalServerError(
                f"the server in {folder} runs with {record.flags}, not with {flags}: use another folder"
            )
        return cls(folder, lock, record)

    @property
    def data_dir(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def close(self) -> None:
        """Lets go of the server; if nobody else uses it, waits until it has stopped. Safe to repeat."""
        lock, self._lock = self._lock, None
        if lock is None or self._pid != os.getpid():
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return
        # No other user, and none can come before the keeper is gone.
        end = time.monotonic() + 60
        told: set[int] = set()
        while time.monotonic() < end:
            # A keeper may be here that was started after the one this server began with.
            record = _running(self.folder)
            if record is not None and record.keeper not in told:
                told.add(record.keeper)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(record.keeper, signal.SIGTERM)
            if not _kept(self.folder):
                break
            time.sleep(_TICK)
        _reap(told, end)
        os.close(lock)

    def __enter__(self) -> Self:
        """Closes at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def _abandon(self) -> None:
        """In a forked child: the parent's lock stays the parent's."""
        lock, self._lock = self._lock, None
        if lock is not None:
            # The parent has the same open file, so this does not unlock it.
            os.close(lock)


def connect_or_start(
    address: str | None, *, timeout: float, retry: Retry | None, tls: TlsConfig | None, api_key: str | None
) -> Connection:
    """A connection to `address`, to CURRICULUM__SERVER, or to this machine's own server, in this order."""
    address = address or os.environ.get(SERVER)
    target = Target.parse(address, tls, api_key) if address else Target.parse(_shared().address, None, api_key)
    return Connection(target, timeout, retry)


def _shared() -> Server:
    """The server of the default folder, which this process keeps until it ends."""
    global _default
    with _default_lock:
        if _default is None or _default._lock is None:
            _default = Server.local()
        return _default


def _running(folder: Path) -> _Record | None:
    """The server that is there."""
    if not _kept(folder):
        # A record that a killed keeper left behind says nothing, and its process number may be a stranger's by now.
        _reap()
        return None
    try:
        content = json.loads((folder / "server.json").read_text(encoding="utf-8"))
        record = _Record(content["address"], content["keeper"], content["flags"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record


def _start(folder: Path, flags: Sequence[str], end: float) -> _Record:
    """Starts a keeper, and waits until its server accepts calls."""
    (folder / "server.json").unlink(missing_ok=True)
    keeper, binary = Path(__file__).with_name("_keeper.py"), find_binary()
    command = [sys.executable, "-I", str(keeper), str(binary), str(folder), *flags]
    # A session of its own: Ctrl-C ends the trainer, and then the server.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(binary),
    )
    while process.poll() is None:
        record = _running(folder)
        if record is not None:
            _keepers.append(process)
            return record
        if time.monotonic() > end:
            process.terminate()
            process.wait()
            raise LocalServerError(f"the server in {folder} took too long to start: {_tail(folder)}")
        time.sleep(_TICK)
    raise LocalServerError(f"the server in {folder} did not start: {_tail(folder)}")


@contextmanager
def _starting(folder: Path, end: float) -> Iterator[None]:
    """One process at a time looks for the server and starts it."""
    lock = os.open(folder / "starting", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _locked(lock, fcntl.LOCK_EX, end, folder)
        yield
    finally:
        os.close(lock)


def _locked(lock: int, kind: int, end: float, folder: Path) -> None:
    """Locks, or LocalServerError at `end`."""
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise LocalServerError(f"another process keeps {folder} locked") from None
            time.sleep(_TICK)


def _kept(folder: Path) -> bool:
    """Whether a keeper lives: it holds the lock until it ends, however it ends."""
    try:
        lock = os.open(folder / "keeper", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        # Somebody removed the folder. Its keeper ends by itself once nobody uses it.
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # Not by closing alone: a child that another thread forks meanwhile has the file open too.
        fcntl.flock(lock, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _reap(told: Collection[int] = (), end: float = 0.0) -> None:
    """Forgets keepers of this process that have ended; until `end` it waits for those that were told to."""
    for keeper in list(_keepers):
        if keeper.pid in told:
            with contextlib.suppress(subprocess.TimeoutExpired):
                keeper.wait(max(0.0, end - time.monotonic()))
        if keeper.poll() is not None:
            _keepers.remove(keeper)


def _tail(folder: Path) -> str:
    """The end of the server's log."""
    try:
        return (folder / "log").read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:].strip() or "its log is empty"
    except OSError as error:
        return str(error)


def _close_all() -> None:
    for server in list(_servers):
        server.close()


def _abandon_all() -> None:
    global _default, _default_lock
    _default, _default_lock = None, threading.Lock()
    _keepers.clear()
    for server in list(_servers):
        server._abandon()


_servers: weakref.WeakSet[Server] = weakref.WeakSet()
_keepers: list[subprocess.Popen[bytes]] = []
_default: Server | None = None
_default_lock = threading.Lock()
atexit.register(_close_all)
os.register_at_fork(after_in_child=_abandon_all)
