// How fast llama.cpp (through node-llama-cpp's prebuilt binaries) writes JSON under
// its grammar sampler, and without. The other side is Sluice's
//
//   go test ./runtime/grammar/jsonschema -run xxx -bench Structured -structured-model MODEL.gguf
//
// with the same model, schema, threads and settings; grammar.sh runs the two in turns.
//
//   node grammar.mjs MODEL.gguf SECONDS [THREADS]
//
// Prints one line of JSON for each mode. Times are of decoding alone, from the first token to the last.

import {readFile} from "node:fs/promises";
import {getLlama, LlamaGrammarEvaluationState} from "node-llama-cpp";

const [file, seconds = "10", threads = "2"] = process.argv.slice(2);
const schema = JSON.parse(await readFile(new URL("grammar.schema.json", import.meta.url), "utf8"));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: "error"});
const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
const context = await model.createContext({contextSize: 1024, batchSize: 512, threads: +threads});
const sequence = context.getSequence();
const text = "Extract the invoice from this letter: please find enclosed the bill for the two items that we delivered last week.";
const prompt = [1, ...model.tokenize(text)];
const before = performance.now();
const grammar = await llama.createGrammarForJsonSchema(schema);
const compiled = performance.now() - before;

for (const mode of ["constrained", "unconstrained"]) {
    let docs = 0, tokens = 0, spent = 0, valid = 0, sample = "";
    for (let seed = 1; spent < +seconds; seed++) {
        await sequence.clearHistory();
        const state = mode === "constrained" ? new LlamaGrammarEvaluationState({model, grammar}) : undefined;
        const out = [];
        let start = 0;
        for await (const token of sequence.evaluate(prompt, {temperature: 1, seed, topK: 40, topP: 1, grammarEvaluationState: state, yieldEogToken: false})) {
            if (start === 0)
                start = performance.now();
            out.push(token);
            if (out.length === (state ? 400 : 120))
                break;
        }
        spent += (performance.now() - start) / 1e3;
        tokens += out.length - 1; // the first one ended the prompt
        docs++;
        sample = model.detokenize(out);
        try {
            JSON.parse(sample);
            valid++;
        } catch {
            // noise, as is to be expected without a grammar
        }
    }
    console.log(JSON.stringify({
        mode, tokensPerSecond: +(tokens / spent).toFixed(2), documentsPerSecond: +(docs / spent).toFixed(3), docs, valid,
        tokensPerDocument: +(tokens / docs).toFixed(1), compileMs: +compiled.toFixed(2), sample
    }));
}
await llama.dispose();
