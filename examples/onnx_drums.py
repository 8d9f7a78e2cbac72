"""Generate a drum sound with an exported ONNX model. Only NumPy and onnxruntime are required.

audiogan export drums drums.onnx
python onnx_drums.py drums.onnx snare snare.wav --seed 7 --knob brightness=0.9 --knob decay=0.2
"""

import argparse
import json
import wave

import numpy as np
import onnxruntime

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("label", help="a class, or a mixture: kick:0.7,tom:0.3")
arguments.add_argument("out", help="WAV file")
arguments.add_argument("--seed", type=int, default=0)
arguments.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="0 to 1; 0.5 if not given")
args = arguments.parse_args()

session = onnxruntime.InferenceSession(args.model)
about = session.get_modelmeta().custom_metadata_map
names = {"classes": json.loads(about["labels"]), "knobs": [knob["name"] for knob in json.loads(about["knobs"])]}
asked = {"classes": [part.split(":") for part in args.label.split(",")], "knobs": [k.split("=") for k in args.knob]}

shapes = {node.name: node.shape[1] for node in session.get_inputs()}  # The first dimension is the batch.
rng = np.random.default_rng(args.seed)
noise = rng.standard_normal if about["latent"] == "normal" else lambda shape: rng.uniform(-1, 1, shape)
inputs = {"latent": noise((1, shapes["latent"])).astype(np.float32)}
for kind, default in (("classes", 0.0), ("knobs", 0.5)):
    if kind in shapes:
        inputs[kind] = np.full((1, shapes[kind]), default, np.float32)
        for name, *value in asked[kind]:
            inputs[kind][0, names[kind].index(name)] = float(value[0]) if value else 1.0

sound = session.run(["wave"], inputs)[0][0]  # [channels, samples], -1 ... 1
with wave.open(args.out, "wb") as file:
    file.setparams((len(sound), 2, int(about["sample_rate"]), 0, "NONE", ""))
    file.writeframes((sound.T * 32767).round().astype("<i2").tobytes())
