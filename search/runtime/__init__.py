"""The machine and the process: devices, threads, signals."""
