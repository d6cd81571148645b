"""How a worker gets its device: it joins the study and takes the first device that is free."""

from collections.abc import Sequence
from functools import partial

from search.errors import NoDevice
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.worker.heartbeat import Heartbeat
from search.worker.retry import LeaveTrial, retry_until_answered
from storage.devices import DeviceRequest, Holder, claim
from storage.leases import Leases

LOOK_SECONDS = 1.0  # between two looks whether a silent holder lives


def acquire_device(
    leases: Leases, devices: Sequence[Device], interrupt: Interrupt, heartbeat: Heartbeat
) -> Device:
    """Joins the study at the first of `devices` that is free; raises NoDevice where there is none.

    A holder that may be dead is waited for, until it gives a sign of life or its lease ends: a container
    that was killed and started again gets its GPU back.
    """
    retry_until_answered(partial(leases.join, devices[0].label), interrupt, heartbeat)
    wanted = {
        device.key: DeviceRequest(device.key, device.label, device.share)
        for device in devices
        if device.key
    }
    if not wanted:
        return devices[0]
    seen: dict[str, float] = {}
    while True:
        answer = retry_until_answered(partial(claim, leases, list(wanted.values())), interrupt, heartbeat)
        if isinstance(answer, DeviceRequest):
            leases.device = answer.device
            return next(device for device in devices if device.key == answer.device)
        if all(holder.lives or _gave_a_sign(holder, seen) for holder in answer):
            raise NoDevice(f"no GPU is free: {_names(answer)}")
        if interrupt.wait(min(LOOK_SECONDS, leases.beat_seconds)):
            raise LeaveTrial


def _gave_a_sign(holder: Holder, seen: dict[str, float]) -> bool:
    """Whether it was heard since it was first looked at."""
    return holder.seen_at > seen.setdefault(holder.worker_id, holder.seen_at)


def _names(holders: Sequence[Holder]) -> str:
    return ", ".join(f"{holder.label} is process {holder.pid}'s on {holder.host}" for holder in holders)
