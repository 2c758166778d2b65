"""cilium-envoy: answers its health port; the agent of the stand-in proxies HTTP itself."""

import os
import signal
import threading

from . import log, web


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    web.serve(("127.0.0.1", int(os.environ.get("HEALTH_PORT", "9878"))), lambda _: (200, "ok"))
    log.info("all dependencies initialized. starting workers")
    threading.Event().wait()


if __name__ == "__main__":
    main()
