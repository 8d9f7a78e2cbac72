"""Modules and configurations of users, with games, inputs and data that are not part of the package."""

from __future__ import annotations

from guide import examples

HEAD = "defaults: [{base: default}, {data: images}, {loss: non-saturating}, _self_]\nbatch_size: 4\n"
IDENTITY = 'representation: {_target_: audiogan.representations.Identity, shape: "${facts.signal_shape}"}\n'
LIGHT = "import math\n\nimport numpy as np\nimport torch\nfrom torch import nn\n\n"
DENSE = '''
class Maker(nn.Module):
    """Any inputs, by name -> signals."""

    def __init__(self, shape, **sizes):
        super().__init__()
        self.shape, self.takes = tuple(shape), frozenset(sizes)
        self.order = sorted(sizes)
        self.dense = nn.Linear(sum(sizes.values()), math.prod(shape))

    def forward(self, **inputs):
        x = torch.cat([inputs[name].flatten(1).float() for name in self.order], 1)
        return torch.tanh(self.dense(x)).view(-1, *self.shape)


class Judge(nn.Module):
    def __init__(self, shape, **sizes):
        super().__init__()
        self.takes, self.order = frozenset(sizes), sorted(sizes)
        self.dense = nn.Linear(math.prod(shape) + sum(sizes.values()), 1)

    def forward(self, x, **inputs):
        return self.dense(torch.cat([x.flatten(1), *(inputs[name].flatten(1) for name in self.order)], 1))[:, 0]
'''
CONVOLVE = '''
class Paint(nn.Module):
    """A source picture of any size -> a picture of ``scale`` times that size."""

    takes = frozenset({"source"})

    def __init__(self, channels, source, scale=1):
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(source, channels, 3, padding=1)

    def forward(self, source):
        x = torch.tanh(self.conv(source))
        return nn.functional.interpolate(x, scale_factor=self.scale) if self.scale > 1 else x


class Eye(nn.Module):
    takes = frozenset()

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 4, 2)

    def forward(self, x):
        return self.conv(x)
'''

CONDITIONAL = (
    LIGHT + DENSE,
    HEAD
    + "data: {root: digits}\n"
    + IDENTITY
    + """
inputs:
  latent: {_target_: audiogan.inputs.Latent, shape: [3, 4]}
game:
  _target_: audiogan.games.Adversarial
  generator: {_target_: MODULE.Maker, shape: "${facts.shape}", latent: 12, classes: "${facts.classes}"}
  critic: {_target_: MODULE.Judge, shape: "${facts.shape}", classes: "${facts.classes}"}
""",
)
"""A conditional GAN with a latent for each of three steps."""

TWO_WAY = (
    LIGHT
    + "from audiogan.games import Generative, Route\nfrom audiogan.games.calling import call_network\n"
    + CONVOLVE
    + '''
class Exchange(Generative):
    """Two translations that undo each other, with least squares against one eye for each."""

    def __init__(self, warm, cold, representation, inputs=None, weight=5.0):
        routes = {"warm": Route(1, 0), "cold": Route(0, 1)}
        super().__init__({"warm": warm, "cold": cold}, representation, inputs, routes)
        self.nets["eye_warm"], self.nets["eye_cold"], self.weight = Eye(3), Eye(3), weight

    def losses(self, player, batch, context):
        a, b = (self.inputs_from_batch(part, context) for part in batch.values())
        total, fakes = 0.0, {"cold": call_network(self.nets["cold"], a), "warm": call_network(self.nets["warm"], b)}
        for name, own in (("warm", a), ("cold", b)):
            eye, fake = self.nets[f"eye_{name}"], fakes[name]
            if player == "eyes":
                total = total + (eye(own["source"]) - 1).square().mean() + eye(fake.detach()).square().mean()
            else:
                other, source = ("cold", b["source"]) if name == "warm" else ("warm", a["source"])
                back = call_network(self.nets[other], {"source": fake})
                total = total + (eye(fake) - 1).square().mean() + self.weight * (back - source).abs().mean()
        return {"loss": total}
''',
    """
defaults: [{base: default}, {data: domains}, _self_]
batch_size: 2
data: {size: 16}
inputs: {source: {_target_: audiogan.inputs.Signal, column: x}}
streams:
  zero: {_target_: audiogan.data.views.Shard, index: 0, count: 2, by: label}
  one: {_target_: audiogan.data.views.Shard, index: 1, count: 2, by: label}
players:
  critic: null
  generator: null
  eyes:
    _target_: audiogan.core.Player
    name: eyes
    role: critic
    nets: [eye_warm, eye_cold]
    streams: [zero, one]
    optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: 0.001}
  hands:
    _target_: audiogan.core.Player
    name: hands
    role: generator
    nets: [warm, cold]
    streams: [zero, one]
    optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: 0.001}
game:
  _target_: MODULE.Exchange
  warm: {_target_: MODULE.Paint, channels: 3, source: 3}
  cold: {_target_: MODULE.Paint, channels: 3, source: 3}
callbacks: {ema: {nets: [warm, cold]}}
"""
    + IDENTITY,
)
"""A game of two generators, without ``real_logits`` and ``features``, with players and networks of other names."""

DATA = """
from audiogan.data.columns import Derived, Labels, Signals, Texts, Values
from audiogan.data.table import Table
from audiogan.modalities import Image, Sound


def pixels(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
"""
LARGER = (
    LIGHT
    + DATA
    + CONVOLVE
    + """
def open_larger():
    x = pixels(120, 3, 16, 16)
    return Table({"x": Signals(x, Image()), "source": Signals(x[:, :1, ::2, ::2].copy(), Image())}, 120)
""",
    """
defaults: [{base: default}, {loss: least-squares}, _self_]
batch_size: 4
data: {_target_: MODULE.open_larger, holdout: 0.5}
inputs: {source: {_target_: audiogan.inputs.Signal}}
game:
  _target_: audiogan.games.Adversarial
  distances: {l1: {_target_: audiogan.losses.L1, weight: 10}}
  generator: {_target_: MODULE.Paint, channels: 3, source: 1, scale: 2}
  critic: {_target_: MODULE.Eye, channels: 3}
"""
    + IDENTITY,
)
"""Super-resolution: a source of another size and of other channels than the output, from data of one's own."""

SEVERAL = (
    LIGHT
    + DATA
    + DENSE
    + """
def open_masked():
    x = pixels(120, 3, 8, 8)
    mask = (pixels(120, 1, 8, 8) > 0).astype(np.float32)
    words = Texts.from_strings(["ab", "b", "cab"] * 40)
    columns = {"x": x, "photo": x * mask, "mask": mask}
    return Table({"words": words, **{name: Signals(each, Image()) for name, each in columns.items()}}, 120)
""",
    """
defaults: [{base: default}, {loss: non-saturating}, _self_]
batch_size: 4
data: {_target_: MODULE.open_masked, holdout: 0.5}
inputs:
  photo: {_target_: audiogan.inputs.Signal, column: photo}
  mask: {_target_: audiogan.inputs.Signal, column: mask}
  words: {_target_: audiogan.inputs.Text, column: words}
  latent: {_target_: audiogan.inputs.Latent, shape: 5}
game:
  _target_: audiogan.games.Adversarial
  generator: {_target_: MODULE.Maker, shape: "${facts.shape}", photo: 192, mask: 64, words: 3, latent: 5}
  critic: {_target_: MODULE.Judge, shape: "${facts.shape}", photo: 192}
"""
    + IDENTITY,
)
"""Two source pictures, a text and a latent; neither source is called so."""

SINGING = (
    LIGHT
    + DATA
    + DENSE
    + """
def open_singing():
    x = pixels(120, 1, 512)
    picture, label = Signals(pixels(120, 1, 8, 8), Image()), Labels(np.arange(120) % 2, ["a", "b"])
    return Table({"x": Signals(x, Sound(8000)), "picture": picture, "label": label}, 120)
""",
    """
defaults: [{base: default}, {loss: non-saturating}, _self_]
batch_size: 4
data: {_target_: MODULE.open_singing, holdout: 0.5}
inputs: {picture: {_target_: audiogan.inputs.Signal, column: picture}}
representation: {_target_: audiogan.representations.ComplexSTFT, format: "${facts.format}", n_fft: 64, hop_length: 32}
game:
  _target_: audiogan.games.Adversarial
  generator: {_target_: MODULE.Maker, shape: "${facts.shape}", picture: 64, classes: "${facts.classes}"}
  critic: {_target_: MODULE.Judge, shape: "${facts.shape}", classes: "${facts.classes}"}
""",
)
"""Sounds from pictures, through an STFT."""

FILTER = (
    LIGHT
    + DATA
    + """
from audiogan.games import Generative
from audiogan.games.calling import call_network


class Smooth(nn.Module):
    takes = frozenset({"noisy"})
    receptive_field = 2

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 5, padding=2)

    def forward(self, noisy):
        return torch.tanh(self.conv(noisy))


class Regression(Generative):
    def losses(self, player, batch, context):
        made = self.representation.decode(call_network(self.nets["generator"], self.inputs_from_batch(batch, context)))
        return {"distance": (made - batch["x"]).square().mean()}


def open_noisy():
    x = pixels(120, 1, 512)
    return Table({"x": Signals(x, Sound(8000)), "noisy": Signals(0.5 * x, Sound(8000))}, 120)
""",
    """
defaults: [{base: default}, {optimizer: adam}, _self_]
batch_size: 4
data: {_target_: MODULE.open_noisy, holdout: 0.5}
inputs: {noisy: {_target_: audiogan.inputs.Signal, column: noisy}}
players: {critic: null}
game:
  _target_: MODULE.Regression
  generator: {_target_: MODULE.Smooth}
"""
    + IDENTITY,
)
"""No critic and no adversarial loss: sounds from sounds of any length."""


def guide(section: str) -> tuple[str, str]:
    """Return an example of CONTRIBUTING.md: its module, and its configuration with MODULE as the name of the module."""
    example = examples()[section]
    (module,) = example.modules
    config = next(text for name, text in example.files.items() if name.endswith(".yaml"))
    return example.files[f"{module}.py"], config.replace(module, "MODULE") + "\n"


GAMES = {
    "conditional": CONDITIONAL,
    "two-way": TWO_WAY,
    "own-input": guide("An input"),
    "own-column": guide("A column"),
    "textbook": guide("A game"),
    "larger": LARGER,
    "several": SEVERAL,
    "singing": SINGING,
    "filter": FILTER,
}
