// Two training runs, one of which fails: what the screenshots show.

import { Program } from "./wire.js";

const TRACEBACK = `Traceback (most recent call last):
  File "train.py", line 212, in <module>
    main(parse_arguments())
  File "train.py", line 187, in main
    trainer.run(config.steps)
  File "trainer.py", line 94, in run
    loss = self.client.forward_backward(batch).result()
  File "client.py", line 311, in result
    raise RequestFailed(self.request_id, response.error)
RequestFailed: request 8f21 failed: out of memory on 2 of 8 devices

During handling of the above exception, another exception occurred:

RuntimeError: step 260 was not applied
`;

export async function trainTwice(url, { fails = true } = {}) {
  const runs = [
    { name: "llama-8b-lora-r16", rate: 1.15, floor: 0.31, end: "ended" },
    { name: "llama-8b-lora-r32", rate: 1.6, floor: 0.24, end: fails ? "failed" : "ended" },
  ];
  for (const run of runs) await train(url, run);
}

async function train(url, { name, rate, floor, end }) {
  const program = new Program(url, name);
  program.clock = Date.now() - 300_000;
  let seed = Math.round(rate * 1000); // another noise for each run
  const noise = () => ((seed = (seed * 16807) % 2147483647) / 2147483647 - 0.5);
  const batch = [program.started(), program.log("config.loaded", { model: "meta-llama/Llama-3.1-8B", learning_rate: 1e-4, batch_size: 64, lora: { rank: 16, alpha: 32 } })];
  const steps = end === "failed" ? 260 : 320;
  for (let step = 0; step < steps; step += 1) {
    program.clock += 700 + 120 * noise();
    const loss = floor + 2.1 * Math.exp((-rate * step) / 80) + 0.09 * noise();
    batch.push(program.log("train.step", { step, loss: Number(loss.toFixed(4)), learning_rate: 1e-4 * Math.min(1, step / 30), tokens_per_second: Math.round(41_000 + 3_000 * noise()), grad_norm: Number((0.8 + 1.4 * Math.exp(-step / 50) + 0.3 * noise()).toFixed(3)) }));
    if (step % 40 === 20) {
      batch.push(program.log("eval.start", { span_id: step }));
      program.clock += 2400 + 800 * noise();
      batch.push(program.log("eval.stop", { span_id: step, step, accuracy: Number((0.84 - 0.5 * Math.exp(-step / 90)).toFixed(3)), duration_ms: 2400 + Math.round(800 * noise()) }));
    }
    if (step % 80 === 79) {
      batch.push(program.log("checkpoint.start", { span_id: `c${step}` }), program.log("checkpoint.stop", { span_id: `c${step}`, step, path: `runs/${name}/ckpt-${step}`, duration_ms: 5200 }));
      program.clock += 5200;
    }
    if (step === 140) program.lose(7);
    if (step === 200) batch.push(program.log("gradient.clipped", { step, norm: 4.71 }, "WARNING"));
  }
  if (end === "failed") batch.push(program.failed("RuntimeError", "step 260 was not applied", TRACEBACK, "CRITICAL"));
  batch.push(program.ended("0:04:36.120344"));
  for (let at = 0; at < batch.length; at += 100) {
    const part = batch.slice(at, at + 100);
    await program.send(part);
    if (at === 200) await program.send(part.slice(90, 94), { "x-stainless-retry-count": "1" });
  }
}
