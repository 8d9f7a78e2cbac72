"""The engine: device, precision and processes; everything that is hardware."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from audiogan.core.game import Game

MOST_THREADS = 1024
"""CPU threads for torch. Far more than there are cores end the process instead of raising an error."""
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Engine:
    """Runs forwards, backwards and steps on whatever hardware there is.

    Under ``torchrun`` it joins the other processes by itself (NCCL on CUDA, gloo on CPU). Gradients are averaged after
    ``backward`` by one flat all-reduce; networks are never wrapped, so they can be differentiated twice and called by
    any method.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` (Apple GPU) or ``auto``: CUDA if available, else MPS in a single
            process, else the CPU.
        precision: ``fp32``, ``bf16`` or ``fp16``; the last with a loss scaler for each player.
        accumulate: parts into which each process's share of a move's batch is split, one forward and backward each.
        threads: CPU threads for torch; ``None`` leaves torch's choice.
        tf32: let CUDA multiply float32 matrices in TF32.
        deterministic: ask torch for deterministic kernels only (slower on CUDA).
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "fp32",
        accumulate: int = 1,
        threads: int | None = None,
        tf32: bool = True,
        deterministic: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} is none of {', '.join(PRECISIONS)}")
        if accumulate < 1:
            raise ValueError(f"accumulate={accumulate} must be at least 1")
        if threads is not None and not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads={threads} must be from 1 to {MOST_THREADS}, or null for torch's choice")
        if threads:
            torch.set_num_threads(threads)
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = self._device(device)
        self.precision, self.accumulate = precision, accumulate
        self._dtype = PRECISIONS[precision]
        self._scalers: dict[str, torch.amp.GradScaler] = {}
        self._control: Any = None
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cudnn.benchmark = not deterministic
        if deterministic:
            torch.use_deterministic_algorithms(True)
        if self.world > 1:
            if not dist.is_initialized():
                dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            # Decisions travel between CPUs, so that they never wait for the device.
            self._control = dist.new_group(backend="gloo")

    def _device(self, name: str) -> torch.device:
        if name == "auto":
            mps = self.world == 1 and torch.backends.mps.is_available()
            name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
        if name == "cuda":
            name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise ValueError(f"device={name!r} must be auto, cpu, cuda, cuda:NUMBER or mps")
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device={name!r} was asked for, but torch sees no CUDA device here; use device=cpu")
        if device.type == "mps" and not torch.backends.mps.is_available():
            raise ValueError(f"device={name!r}: PyTorch finds no Apple GPU; use device=cpu")
        if device.type == "mps" and self.world > 1:
            raise ValueError(f"device={name!r} supports one process, not {self.world}; start without torchrun")
        return device

    @property
    def is_main_process(self) -> bool:
        """Whether this process is the one that writes files and talks."""
        return self.rank == 0

    @property
    def micro_batch_indices(self) -> range:
        """Which parts of a move's batch are this process's, of ``micro_batches``."""
        return range(self.rank * self.accumulate, (self.rank + 1) * self.accumulate)

    @property
    def micro_batches(self) -> int:
        return self.world * self.accumulate

    def prepare(self, game: Game) -> None:
        """Move the game to the device; every process starts from the weights of the first."""
        game.to(self.device)
        if self.world > 1:
            for tensor in game.state_dict().values():
                dist.broadcast(tensor, 0)

    def to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the batch on the device; a copy from pinned memory to CUDA does not block."""
        return {name: x.to(self.device, non_blocking=self.device.type == "cuda") for name, x in batch.items()}

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context of a forward."""
        if self._dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self._dtype)

    def backward(self, player: str, loss: Tensor) -> None:
        """Add the gradients of one part of the batch, scaled for ``player`` if the precision needs it."""
        self._scaler(player).scale(loss / self.accumulate).backward()

    def average_and_clip_gradients(
        self, player: str, optimizer: Optimizer, params: Sequence[nn.Parameter], clip: float | None
    ) -> Tensor:
        """Average gradients over processes and clip; returns their norm before clipping, on the device."""
        self._average([p.grad for p in params if p.grad is not None])
        self._scaler(player).unscale_(optimizer)
        norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
        if clip is not None:
            nn.utils.clip_grads_with_norm_(params, clip, norm)
        return norm

    def step(self, player: str, optimizer: Optimizer, apply: bool = True) -> None:
        """Step on the gradients there are, or (``apply=False``) let them be."""
        scaler = self._scaler(player)
        if apply:
            scaler.step(optimizer)
        scaler.update()

    def _scaler(self, player: str) -> torch.amp.GradScaler:
        if player not in self._scalers:
            self._scalers[player] = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        return self._scalers[player]

    def _average(self, grads: list[Tensor]) -> None:
        if self.world == 1 or not grads:
            return
        flat = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(flat)
        flat /= self.world
        for grad, mean in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    def any_process(self, flag: bool) -> bool:
        """Whether ``flag`` is true in any process."""
        if self._control is None:
            return flag
        votes = torch.tensor(int(flag))
        dist.all_reduce(votes, dist.ReduceOp.MAX, group=self._control)
        return bool(votes)

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self._control is not None:
            dist.barrier(group=self._control)

    def close(self) -> None:
        """Leave the group of processes."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def state_dict(self) -> dict[str, Any]:
        """Return the loss scalers and the states of all random number generators (CUDA: one for each device)."""
        return {"scalers": {name: s.state_dict() for name, s in self._scalers.items()}, "rng": _rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, scaler in state["scalers"].items():
            mine = self._scaler(name)  # also of a player that no longer moves: it stays in later checkpoints
            if scaler:
                mine.load_state_dict(scaler)
        _set_rng_state(state["rng"])


def _rng_state() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)
    words = np.asarray(keys).tolist()
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate(), "numpy": [name, words, *rest]}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def _set_rng_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    if not 0 <= rest[0] <= len(keys):  # numpy does not check it
        raise ValueError(f"the state of numpy's random numbers has the position {rest[0]}")
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    for device, saved in enumerate(state.get("cuda", [])):
        if device < torch.cuda.device_count():
            torch.cuda.set_rng_state(saved, device)
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def to_float64(x: Tensor) -> Tensor:
    """Return ``x`` in float64, or unchanged on MPS, which has no float64."""
    return x if x.device.type == "mps" else x.double()


@contextlib.contextmanager
def frozen_except(game: Game, nets: Sequence[str]) -> Iterator[list[nn.Parameter]]:
    """Only the parameters of ``nets`` want gradients inside; yields them."""
    params = [p for name in nets for p in game.nets[name].parameters()]
    for p in params:
        p.requires_grad_(True)
    try:
        yield params
    finally:
        for p in params:
            p.requires_grad_(False)
