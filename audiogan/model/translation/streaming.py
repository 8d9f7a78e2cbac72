"""Translation of sounds in blocks by networks that pass a state from block to block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.utils.workers import WORKERS

Block = NDArray[np.float32]
MAX_BLOCK = 1 << 16
"""Maximum number of samples that a network receives at once, to limit memory."""


@runtime_checkable
class StreamingNetwork(Protocol):
    """Protocol of networks that process blocks of a sound in order, such as `SpeechMasker`.

    Attributes:
        delay: number of samples by which the output lags behind the input.
        multiple: the length of each block must be a multiple of this number of samples.
    """

    delay: int
    multiple: int

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Process the next samples ``[B, n]`` of B sounds. Return the next outputs ``[B, n]`` and the new state."""
        ...


def run_stream(
    network: StreamingNetwork, blocks: Iterable[Block], device: torch.device, name: str, block_size: int | None = None
) -> Iterator[Block]:
    """Translate the channels of a sound with a network that processes streams. Each channel is translated separately.

    The result has the length of the sound, and no delay. It does not depend on the sizes of the blocks, except for
    rounding.

    Args:
        network: the network.
        blocks: consecutive samples ``[channels, n]``. A block can have any length.
        device: device of the network.
        name: name of the model, for messages.
        block_size: maximum number of samples that the network receives at once. Default: `MAX_BLOCK`.

    Yields:
        Samples ``[channels, n]``, as soon as they are known.

    Raises:
        UserError: there are no samples, or the result is not finite.
    """
    multiple = network.multiple
    largest = max(1, (block_size or MAX_BLOCK) // multiple) * multiple
    state: Any = None
    skipped = length = made = 0  # in samples: skipped output, input, and yielded output

    def step(x: Block) -> Block:
        nonlocal state
        with torch.inference_mode():
            y, state = network.stream(torch.tensor(x).to(device), state)
        return np.asarray(y.float().cpu().numpy(), np.float32)

    def process(x: Block) -> Iterator[Block]:
        nonlocal skipped
        for start in range(0, x.shape[1], largest):
            part = x[:, start : start + largest]
            # A worker has one thread, so the bits do not depend on the number of threads.
            y = WORKERS.map(step, [part])[0] if device.type == "cpu" else step(part)
            if not np.isfinite(y).all():
                raise UserError(f"{name}: its sounds are not finite numbers")
            first = min(network.delay - skipped, y.shape[1])
            skipped += first
            if first < y.shape[1]:
                yield y[:, first:]

    held: Block | None = None
    for block in blocks:
        if not block.shape[1]:
            continue
        length += block.shape[1]
        held = block if held is None or not held.shape[1] else np.concatenate([held, block], axis=1)
        whole = held.shape[1] // multiple * multiple
        for part in process(held[:, :whole]):
            made += part.shape[1]
            yield part
        held = held[:, whole:]
    if held is None:
        raise UserError("the signal is empty")
    missing = -held.shape[1] % multiple + network.delay
    for part in process(np.pad(held, ((0, 0), (0, missing)))):
        part = part[:, : length - made]
        made += part.shape[1]
        if part.shape[1]:
            yield part
