"""Training loop for games between networks: players, games, data streams, checkpoints and callbacks. The loop works
with any kind of data."""

from audiogan.core.anneal import Anneal
from audiogan.core.checking import CheckpointError
from audiogan.core.checkpoint import Checkpoints, load_newest_checkpoint, load_state, save_state
from audiogan.core.ema import EMA
from audiogan.core.engine import Engine
from audiogan.core.fine_tuning import FineTuning
from audiogan.core.first_stage import FirstStage
from audiogan.core.game import Game, Play
from audiogan.core.player import Player
from audiogan.core.stream import Stream
from audiogan.core.trainer import Callback, Move, Trainer

__all__ = ["EMA", "Anneal", "Callback", "CheckpointError", "Checkpoints", "Engine", "FineTuning", "FirstStage", "Game"]
__all__ += ["Move", "Play", "Player", "Stream", "Trainer", "load_newest_checkpoint", "load_state", "save_state"]
