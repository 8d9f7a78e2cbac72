// Drums from an exported model in JavaScript, and the CPU time of each sound. The same calls work in a browser.
//
//   audiogan export drums drums.onnx --half
//   npm install onnxruntime-web
//   node onnx_drums.mjs drums.onnx 110

import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web/wasm";

const [path, count = "110"] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(path)));

// Values of the shipped drums: 64 normal numbers, the weights of 10 classes, and 4 knobs.
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const tensor = (n, value) => new ort.Tensor("float32", Float32Array.from({ length: n }, value), [1, n]);
const times = [];
for (let i = 0; i < Number(count); i++) {
  const inputs = { latent: tensor(64, normal), classes: tensor(10, (_, k) => Number(k === i % 10)), knobs: tensor(4, () => 0.5) };
  const before = process.cpuUsage();
  const { wave } = await session.run(inputs); // wave.data: Float32Array with the samples, -1 ... 1
  const { user, system } = process.cpuUsage(before);
  times.push((user + system) / 1000);
  if (wave.data.some((sample) => !Number.isFinite(sample))) throw new Error("a sample is not finite");
}
const median = (from, to) => times.slice(from, to).sort((a, b) => a - b).at((Math.min(to, times.length) - from) >> 1);
const parts = [[0, 1], [1, 20], [20, 50], [50, 100], [100, times.length]].filter(([from]) => from < times.length);
for (const [from, to] of parts) console.log(`sounds ${from + 1} to ${Math.min(to, times.length)}: ${median(from, to).toFixed(1)} ms of CPU time`);
