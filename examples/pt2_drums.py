"""Generate a drum sound with an exported PT2 model. Only PyTorch is required.

audiogan export drums drums.pt2
python pt2_drums.py drums.pt2 snare snare.wav --seed 7 --knob brightness=0.9 --knob decay=0.2
"""

import argparse
import json
import wave

import torch

arguments = argparse.ArgumentParser()
arguments.add_argument("model", help="PT2 file; load it only from people whom you trust")
arguments.add_argument("label", help="a class, or a mixture: kick:0.7,tom:0.3")
arguments.add_argument("out", help="WAV file")
arguments.add_argument("--seed", type=int, default=0)
arguments.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="0 to 1; 0.5 if not given")
args = arguments.parse_args()

files = {"audiogan.json": ""}
program = torch.export.load(args.model, extra_files=files)
about = json.loads(files["audiogan.json"])
names = {"classes": json.loads(about["labels"]), "knobs": [knob["name"] for knob in json.loads(about["knobs"])]}
asked = {"classes": [part.split(":") for part in args.label.split(",")], "knobs": [k.split("=") for k in args.knob]}

# The program was exported with example inputs. Their shapes are those of the inputs of the model.
shapes = {name: example.shape[1] for name, example in program.example_inputs[1].items()}
random = torch.Generator().manual_seed(args.seed)
latent = torch.randn(1, shapes["latent"], generator=random)
if about["latent"] == "uniform":
    latent = 2 * torch.rand(1, shapes["latent"], generator=random) - 1
inputs = {"latent": latent}
for kind, default in (("classes", 0.0), ("knobs", 0.5)):
    if kind in shapes:
        inputs[kind] = torch.full((1, shapes[kind]), default)
        for name, *value in asked[kind]:
            inputs[kind][0, names[kind].index(name)] = float(value[0]) if value else 1.0

with torch.no_grad():
    sound = program.module()(**inputs)[0]  # [channels, samples], -1 ... 1
with wave.open(args.out, "wb") as file:
    file.setparams((len(sound), 2, int(about["sample_rate"]), 0, "NONE", ""))
    file.writeframes((sound.T * 32767).round().to(torch.int16).numpy().astype("<i2").tobytes())
