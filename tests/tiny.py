"""Overrides that make training runs small."""

TINY = (
    "network=stftgan",  # The smallest network for sounds.
    "data.length=2048",
    "data.holdout=0.25",
    "batch_size=4",
    "game.generator.widths=[16,8]",
    "game.critic.widths=[8,8]",
    "game.augment.max_samples=16",
    "callbacks.previews.count=4",
    "engine.threads=1",
)
