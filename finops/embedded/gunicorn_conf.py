"""How the web processes serve: threads for many slow callers, a bounded request, a graceful end.

``up`` gives the address and the number of processes on the command line.
"""

from __future__ import annotations

import gc
import os
import signal
from typing import Any

from prometheus_client import multiprocess

from finops.embedded.launch import end_with_parent

worker_class = "gthread"
threads = 8
keepalive = 15
timeout = 60
graceful_timeout = 25
# A body's size is bounded where it is read; a header's here.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
forwarded_allow_ips = "127.0.0.1,::1"
accesslog = None
errorlog = "-"
# Its place would be shared by every instance of this account, and nothing here speaks to it.
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:
    """Left behind by a killed master, a worker would keep the port from the next one for a while."""
    end_with_parent(signal.SIGKILL)
    if os.getppid() != worker.ppid:
        os._exit(1)


# A request of thousands of spans makes tens of thousands of objects, all in use until it is answered:
# with Python's 700 the collector went through them a hundred times and found nothing.
_OBJECTS_BETWEEN_COLLECTIONS = 10_000


def post_worker_init(worker: Any) -> None:
    """Take what was loaded at start out of the garbage collector's rounds: it stays for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


def child_exit(server: Any, worker: Any) -> None:  # Any: gunicorn has no types
    """Forget the live gauges of a process that ended."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
