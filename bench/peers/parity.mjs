// Asks llama.cpp (through node-llama-cpp's prebuilt binaries) what small random
// models answer, and writes it down as reference numbers for Sluice's own tests.
//
//   go test ./runtime/lfm2 -run 'TestParity$' -models /some/empty/folder
//   cd bench/peers && npm install --ignore-scripts --omit=optional
//   node parity.mjs /some/empty/folder ../../testdata/parity [NAME...]
//
// The first command writes the models (they are made from a seed, so they need
// not be kept) and plan.json, which says what to ask. Each answer, NAME.json, has
//
//   sha256   of the model's file: guards against drift
//   prompt   the token ids evaluated first; none if the test makes them from a seed
//   steps    greedy steps: [token, [[id, probability] x 20, likeliest first]]
//
// Keys and values are kept in F32 and flash attention is off unless the plan says
// otherwise, so that what is compared is the model and not a cache's rounding.

import {createHash} from "node:crypto";
import {readFile, writeFile} from "node:fs/promises";
import path from "node:path";
import {getLlama} from "node-llama-cpp";

const top = 20;
const [models, out, ...only] = process.argv.slice(2);
if (!out) {
    console.error("usage: node parity.mjs MODELS-FOLDER OUTPUT-FOLDER [NAME...]");
    process.exit(2);
}
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: "error"});
const peer = `node-llama-cpp 3.22.1, llama.cpp ${llama.llamaCppRelease?.release ?? "unknown"}`;
const text = "The quick brown fox asks the local model: what do people know about the world?";

for (const plan of JSON.parse(await readFile(path.join(models, "plan.json"), "utf8"))) {
    if (only.length > 0 && !only.includes(plan.name))
        continue;
    const file = path.join(models, plan.model);
    const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
    const prompt = plan.prompt ?? [1, ...model.tokenize(text)]; // BOS first
    const kv = plan.kv || "F32";
    const context = await model.createContext({
        contextSize: Math.ceil((prompt.length + plan.steps) / 256) * 256, batchSize: 512, threads: 1,
        flashAttention: kv.startsWith("Q"), // llama.cpp keeps quantised values only with it
        experimentalKvCacheKeyType: kv, experimentalKvCacheValueType: kv,
        ...(plan.adapter ? {lora: {adapters: [{filePath: path.join(models, plan.adapter), scale: plan.scale}]}} : {})
    });
    const sequence = context.getSequence();

    // Raw logits of every id, turned into probabilities here.
    const next = async (tokens) => {
        const input = tokens.map((t, i) => i === tokens.length - 1 ? [t, {generateNext: {logits: true}}] : t);
        const logits = [...(await sequence.controlledEvaluate(input)).at(-1).next.logits];
        logits.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
        const sum = logits.reduce((s, [, l]) => s + Math.exp(l - logits[0][1]), 0);
        return {n: logits.length, top: logits.slice(0, top).map(([id, l]) => [id, +(Math.exp(l - logits[0][1]) / sum).toFixed(6)])};
    };
    const result = [];
    let vocab, {n, top: probs} = await next(prompt);
    vocab = n;
    for (let i = 0; i < plan.steps; i++) {
        const token = probs[0][0];
        result.push([token, probs]);
        if (i + 1 < plan.steps)
            ({top: probs} = await next([token]));
    }
    const head = {
        peer, model: plan.name,
        sha256: createHash("sha256").update(await readFile(file)).digest("hex"),
        ...(plan.prompt ? {} : {text, prompt}), vocab
    };
    const lines = Object.entries(head).map(([k, v]) => `  ${JSON.stringify(k)}: ${JSON.stringify(v)},`);
    await writeFile(path.join(out, plan.name + ".json"),
        `{\n${lines.join("\n")}\n  "steps": [\n${result.map((s) => "    " + JSON.stringify(s)).join(",\n")}\n  ]\n}\n`);
    const margin = Math.min(...result.map(([, p]) => p[0][1] - p[1][1]));
    console.log(`${plan.name}: ${new Set(result.map(([t]) => t)).size} different tokens of ${plan.steps}, least margin ${margin.toFixed(4)}, likeliest ${Math.max(...result.map(([, p]) => p[0][1])).toFixed(3)}`);
    await context.dispose();
    await model.dispose();
}
process.exit(0);
