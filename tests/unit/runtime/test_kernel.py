"""A kernel on a device, in this process and in a new one."""

import gc
import sys

import pytest
import torch

from search.runtime.kernel import error_in_new_process, free_memory, kernel_error


def test_a_device_that_works_and_one_that_does_not() -> None:
    assert kernel_error("cpu") is None
    error = kernel_error("meta")  # it holds no numbers
    assert error is not None and "meta" in str(error)


def test_nothing_is_asked_where_nothing_uses_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    assert kernel_error("meta") is None


def test_a_new_process_says_what_fails_there() -> None:
    answer = error_in_new_process("nowhere")
    assert answer is not None and "nowhere" in answer.splitlines()[0] and "Traceback" not in answer


def test_memory_that_only_frames_held_is_free_again() -> None:
    freed = []

    class Tensor:
        def __del__(self) -> None:
            freed.append(True)

    def fail() -> None:
        error = RuntimeError()
        error.tensor = Tensor()  # type: ignore[attr-defined]
        raise error  # its traceback holds this frame, and this frame holds it

    gc.disable()
    try:
        with pytest.raises(RuntimeError):
            fail()
        assert not freed
        free_memory()
    finally:
        gc.enable()
    assert freed and not torch.cuda.is_initialized()
