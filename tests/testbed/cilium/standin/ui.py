"""hubble-ui and hubble-ui-backend: a page that says it is there, and a port that listens."""

import os
import signal
import threading

from . import log, web

PAGE = "<!doctype html><title>Hubble UI</title><div id=app>Hubble UI (testbed stand-in)</div>"


def main() -> None:
    """Serve on PORT until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    port = int(os.environ.get("PORT", "8081"))
    web.serve(("0.0.0.0", port), lambda path: (200, "ok") if path == "/healthz" else (200, PAGE))
    log.info("Hubble UI (stand-in) listening", port=port)
    threading.Event().wait()


if __name__ == "__main__":
    main()
