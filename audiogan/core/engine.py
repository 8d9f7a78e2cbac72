"""Hardware for training: device, floating-point precision, gradient accumulation and communication between
processes."""

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

MAX_THREADS = 1024
"""Largest number of CPU threads. PyTorch ends the process without an exception if the number is far above the number
of cores."""
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Data type for autocast by the name of the precision. ``None`` disables autocast."""


class Engine:
    """Hardware that a `Trainer` uses: a device, a precision, and optionally several processes.

    Under ``torchrun``, the engine joins the process group (NCCL on CUDA, gloo on CPU). After each backward pass, one
    all-reduce averages the gradients over processes. Networks are not wrapped in ``DistributedDataParallel``.
    Second-order gradients and all methods of a network therefore work with any number of processes.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:NUMBER``, ``mps`` (Apple GPU) or ``auto``. ``auto`` selects CUDA if available,
            then MPS if there is one process, then the CPU.
        precision: ``fp32``, or ``bf16`` or ``fp16`` for mixed precision. With ``fp16``, each player has its own loss
            scaler.
        accumulate: number of micro-batches per optimizer update in each process. Each micro-batch has its own forward
            and backward pass.
        threads: number of CPU threads for PyTorch. ``None`` keeps PyTorch's default.
        tf32: whether CUDA may multiply float32 matrices in TF32.
        deterministic: whether PyTorch must use deterministic algorithms. They are slower on CUDA.

    Examples:
        >>> from audiogan.core import Engine
        >>> Engine("cpu").device
        device(type='cpu')
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
            raise ValueError(f"precision={precision!r} must be one of {', '.join(PRECISIONS)}")
        if accumulate < 1:
            raise ValueError(f"accumulate={accumulate} must be at least 1")
        if threads is not None and not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads={threads} must be from 1 to {MAX_THREADS}, or null for PyTorch's default")
        if threads:
            torch.set_num_threads(threads)
        self.rank, self.world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = self._device(device)
        self.precision, self.accumulate = precision, accumulate
        self._dtype = PRECISIONS[precision]
        self._scalers: dict[str, torch.amp.GradScaler] = {}
        self._flag_group: Any = None
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cudnn.benchmark = not deterministic
        if deterministic:
            torch.use_deterministic_algorithms(True)
        if self.world_size > 1:
            if not dist.is_initialized():
                dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            # Processes exchange flags through the CPU. Through the GPU, they would wait for queued kernels.
            self._flag_group = dist.new_group(backend="gloo")

    def _device(self, name: str) -> torch.device:
        if name == "auto":
            mps = self.world_size == 1 and torch.backends.mps.is_available()
            name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
        if name == "cuda":
            name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise ValueError(f"device={name!r} must be auto, cpu, cuda, cuda:NUMBER or mps")
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device={name!r}: PyTorch finds no CUDA device; use device=cpu")
        if device.type == "mps" and not torch.backends.mps.is_available():
            raise ValueError(f"device={name!r}: PyTorch finds no Apple GPU; use device=cpu")
        if device.type == "mps" and self.world_size > 1:
            raise ValueError(f"device={name!r} supports one process, not {self.world_size}; start without torchrun")
        return device

    @property
    def is_main_process(self) -> bool:
        """Whether this process has rank 0. Only that process writes files and prints messages."""
        return self.rank == 0

    @property
    def micro_batch_indices(self) -> range:
        """Indices of the micro-batches that this process computes, among the micro-batches of all processes."""
        return range(self.rank * self.accumulate, (self.rank + 1) * self.accumulate)

    @property
    def micro_batch_count(self) -> int:
        """Number of micro-batches of one update, summed over all processes."""
        return self.world_size * self.accumulate

    def prepare(self, game: Game) -> None:
        """Move a game to the device and copy the weights of the first process to all others."""
        game.to(self.device)
        if self.world_size > 1:
            for tensor in game.state_dict().values():
                dist.broadcast(tensor, 0)

    def to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Copy a batch to the device and return it. Copies from pinned memory to CUDA are asynchronous."""
        return {name: x.to(self.device, non_blocking=self.device.type == "cuda") for name, x in batch.items()}

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context manager for a forward pass. It is autocast for mixed precision and has no effect for
        ``fp32``."""
        if self._dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self._dtype)

    def backward(self, player: str, loss: Tensor) -> None:
        """Compute the gradients of one micro-batch and add them to the gradients of the parameters.

        Args:
            player: name of the player, which selects the loss scaler.
            loss: scalar loss of the micro-batch.
        """
        self._scaler(player).scale(loss / self.accumulate).backward()

    def average_and_clip_gradients(
        self, player: str, optimizer: Optimizer, params: Sequence[nn.Parameter], clip: float | None
    ) -> Tensor:
        """Average the gradients of a player over all processes, and clip their norm.

        Args:
            player: name of the player, which selects the loss scaler.
            optimizer: optimizer of the player.
            params: parameters of the player's networks.
            clip: largest norm of the whole gradient. ``None`` disables clipping.

        Returns:
            The norm before clipping, a scalar on the device.
        """
        self._average_over_processes([p.grad for p in params if p.grad is not None])
        self._scaler(player).unscale_(optimizer)
        norm = nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
        if clip is not None:
            nn.utils.clip_grads_with_norm_(params, clip, norm)
        return norm

    def step(self, player: str, optimizer: Optimizer, change_weights: bool = True) -> None:
        """Take an optimizer step with the present gradients.

        Args:
            player: name of the player, which selects the loss scaler.
            optimizer: optimizer of the player.
            change_weights: whether to change the weights. With ``False``, only the loss scaler is updated.
        """
        scaler = self._scaler(player)
        if change_weights:
            scaler.step(optimizer)
        scaler.update()

    def _scaler(self, player: str) -> torch.amp.GradScaler:
        if player not in self._scalers:
            self._scalers[player] = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        return self._scalers[player]

    def _average_over_processes(self, grads: list[Tensor]) -> None:
        if self.world_size == 1 or not grads:
            return
        flat = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(flat)
        flat /= self.world_size
        for grad, mean in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    def any_process(self, flag: bool) -> bool:
        """Return whether ``flag`` is true in at least one process."""
        if self._flag_group is None:
            return flag
        votes = torch.tensor(int(flag))
        dist.all_reduce(votes, dist.ReduceOp.MAX, group=self._flag_group)
        return bool(votes)

    def barrier(self) -> None:
        """Wait until all processes have called this method."""
        if self._flag_group is not None:
            dist.barrier(group=self._flag_group)

    def close(self) -> None:
        """Leave the process group."""
        if self.world_size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the loss scalers and of all random number generators, including one for each CUDA
        device."""
        return {"scalers": {name: s.state_dict() for name, s in self._scalers.items()}, "rng": _rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, scaler in state["scalers"].items():
            # Create scalers also for players that are no longer trained, so that later checkpoints keep their states.
            mine = self._scaler(name)
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
    if not 0 <= rest[0] <= len(keys):  # NumPy does not check this index into the array `keys`.
        raise ValueError(f"the state of NumPy's random number generator has the invalid position {rest[0]}")
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    for device, saved in enumerate(state.get("cuda", [])):
        if device < torch.cuda.device_count():
            torch.cuda.set_rng_state(saved, device)
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def to_float64(x: Tensor) -> Tensor:
    """Return ``x`` in float64. On MPS, which does not support float64, return ``x`` unchanged."""
    return x if x.device.type == "mps" else x.double()


@contextlib.contextmanager
def frozen_except(game: Game, nets: Sequence[str]) -> Iterator[list[nn.Parameter]]:
    """Context manager: while the block runs, only the parameters of the given networks of a game require gradients.
    Before and after the block, all parameters of the game are frozen.

    Args:
        game: game with the networks.
        nets: names of the networks to train.

    Yields:
        The parameters that have gradients.
    """
    params = [p for name in nets for p in game.nets[name].parameters()]
    for p in params:
        p.requires_grad_(True)
    try:
        yield params
    finally:
        for p in params:
            p.requires_grad_(False)
