"""How a worker gets its device: it joins the study and leases the first device that is free."""

from collections.abc import Sequence
from functools import partial

from search.errors import NoDevice, StudyError
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.worker.heartbeat import Heartbeat
from search.worker.retry import LeaveTrial, retry_until_answered
from storage.devices import DeviceRequest, Holder, claim
from storage.leases import Leases

LOOK_SECONDS = 1.0  # between two checks whether a silent holder lives


def acquire_device(
    leases: Leases, devices: Sequence[Device], interrupt: Interrupt, heartbeat: Heartbeat
) -> Device:
    """Joins the study at the first of `devices` that is free; raises NoDevice where there is none.

    A holder that may be dead is given until its lease ends to show a heartbeat. So a container that was
    killed and started again gets its GPU back.
    """
    if not retry_until_answered(partial(leases.join, devices[0].label), interrupt, heartbeat):
        if leases.study_seconds != leases.seconds:
            theirs = f"{leases.study_seconds:g}"
            raise StudyError(
                f"SEARCH_LEASE_SECONDS: is {leases.seconds:g} here and {theirs} for the workers that train "
                f"this study; set it to {theirs} here, too"
            )
        heartbeat.study_deleted = True
        raise LeaveTrial
    requests = {
        device.key: DeviceRequest(device.key, device.label, device.share)
        for device in devices
        if device.key
    }
    if not requests:
        return devices[0]
    first_seen: dict[str, float] = {}
    while True:
        answer = retry_until_answered(partial(claim, leases, list(requests.values())), interrupt, heartbeat)
        if isinstance(answer, DeviceRequest):
            leases.device = answer.device
            return next(device for device in devices if device.key == answer.device)
        if all(holder.lives or _is_alive(holder, first_seen) for holder in answer):
            holders = [f"{each.label} is used by process {each.pid} on {each.host}" for each in answer]
            raise NoDevice(f"no GPU is free: {', '.join(holders)}")
        if interrupt.wait(min(LOOK_SECONDS, leases.beat_seconds)):
            raise LeaveTrial


def _is_alive(holder: Holder, first_seen: dict[str, float]) -> bool:
    """Whether it has sent a heartbeat since it was first looked at."""
    return holder.seen_at > first_seen.setdefault(holder.worker_id, holder.seen_at)
