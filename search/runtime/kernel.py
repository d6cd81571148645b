"""One kernel on a torch device: whether it works, in this process and in a new one.

After some errors a process cannot use its device any more, while the next one can: only a new process tells
a device that is broken from one that is not.
"""

import gc
import subprocess
import sys

PATIENCE = 120.0  # seconds for a new process to import torch and run a kernel


def kernel_error(device: str) -> Exception | None:
    """Runs a kernel in this process; its error, or None where it works or nothing here uses torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    try:
        total = (torch.ones(8, device=device) + 1).sum().item()
    except Exception as error:
        return error
    return None if total == 16 else RuntimeError(f"eight times two is {total} on it")


def error_in_new_process(device: str, patience: float = PATIENCE) -> str | None:
    """Runs a kernel in a new process; what that says of its error, or None where it works."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "search.runtime.kernel", device],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience,
            start_new_session=True,  # Ctrl-C in a terminal is not for it
        )
    except subprocess.TimeoutExpired:
        return f"a new process got no answer from it within {patience:.0f} s"
    if done.returncode == 0:
        return None
    return done.stderr.strip() or f"a new process ended with {done.returncode} when it used it"


def free_memory() -> None:
    """Frees what only the frames of an exception held, on the device too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    import torch  # noqa: F401

    sys.exit(str(kernel_error(sys.argv[1]) or ""))
