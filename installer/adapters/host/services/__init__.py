"""What keeps k3s running: systemd, OpenRC, or our own supervisor where there is neither."""

from __future__ import annotations

from pathlib import Path

from installer.adapters.host.services.openrc import OpenrcServices
from installer.adapters.host.services.supervised import SupervisedServices
from installer.adapters.host.services.systemd import SystemdServices
from installer.ports.host import Files, Processes, ServiceManager

__all__ = ["OpenrcServices", "SupervisedServices", "SystemdServices", "detect"]


async def detect(processes: Processes, files: Files) -> ServiceManager:
    """Return the service manager that really runs on this host.

    Installed is not running: systemd's programs lie in many containers. systemd has booted the host exactly when
    ``/run/systemd/system`` is a folder (``sd_booted``), OpenRC when it has reached a run level.
    """
    booted = await processes.run(["test", "-d", "/run/systemd/system"], check=False)
    if booted.rc == 0:
        return SystemdServices(processes, files)
    if files.read(Path("/run/openrc/softlevel")) is not None:
        return OpenrcServices(processes, files)
    return SupervisedServices(processes, files)
