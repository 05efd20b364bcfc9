// Sluice and llama.cpp (through node-llama-cpp's prebuilt binaries) on the same files, by turns. speed.sh calls it.
//
//   node speed.mjs --models FOLDER --raw FILE [--files NAME,…] [--rounds N] [--threads N] [--rows ROW,…] [--own] [--report]
//
// Each measurement is a process of its own. Llama.cpp's settings are tried out first, for each file, and the best of
// them are used for each row. Every result is a line of the raw file; the report is made from all lines in it.
//
// With --own, and llama.cpp's own programs at hand, the binding is asked only what they cannot tell.
//
// What a virtual machine gets of its host changes: memory was seen to be read at 33 GB/s and, seconds later, at 62, and two
// cores to multiply 465 and then 231 GMAC/s, as if they were one. So the rooflines are measured before and after each
// round, and a round between which they differ does not count: that of memory for what decodes or loads, that of
// multiplications for everything.

import {execFileSync, spawn} from "node:child_process";
import {appendFileSync, existsSync, readFileSync, readdirSync} from "node:fs";
import os from "node:os";
import path from "node:path";
import {fileURLToPath} from "node:url";

const rows = ["prefill", "decode", "batch4", "batch16", "contended", "start", "cold_start", "load", "rss", "judge", "ttft"];
const args = parse(process.argv.slice(2));

function parse(argv) {
    const out = {rounds: 3, threads: 2, rows: rows.filter((r) => r !== "cold_start" || existsSync("/bin/dd"))};
    for (let i = 0; i < argv.length; i++) {
        const name = argv[i].replace(/^--/, "");
        if (["report", "tune", "own"].includes(name)) {
            out[name] = true;
            continue;
        }
        if (!["models", "raw", "files", "rounds", "threads", "rows", "worker", "settings"].includes(name) || i + 1 >= argv.length) {
            console.error(`speed.mjs: what is ${argv[i]}? See the top of the file`);
            process.exit(2);
        }
        out[name] = argv[++i];
        if (["files", "rows"].includes(name))
            out[name] = out[name].split(",");
        if (["rounds", "threads"].includes(name))
            out[name] = Number(out[name]);
    }
    return out;
}

// --- one measurement of llama.cpp, in a process of its own ---

async function worker(file, s) {
    const {getLlama} = await import("node-llama-cpp");
    const llama = await getLlama({gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: "error", maxThreads: 0});
    const out = {release: llama.llamaCppRelease?.release, empty: resident()};
    const began = performance.now();
    const model = await llama.loadModel({modelPath: file, gpuLayers: 0, useMmap: s.mmap, useMlock: s.mlock});
    const random = (n) => Array.from({length: n}, () => 1000 + Math.floor(Math.random() * 60000));
    const open = (c, sequences = 1, each = 1024) => model.createContext({
        sequences, contextSize: each, batchSize: c.batch, threads: {ideal: c.threads, min: c.threads}, flashAttention: c.flash
    });
    const next = (sequence, tokens) => sequence.evaluate(tokens, {temperature: 0});
    const write = async (sequence, tokens, n, limit = 1e9) => { // the time of each token after the first
        const stream = next(sequence, tokens);
        await stream.next();
        const start = performance.now();
        let i = 0;
        while (i < n && performance.now() - start < limit) {
            await stream.next();
            i++;
        }
        const took = performance.now() - start;
        await stream.return();
        return 1e3 * i / took;
    };
    const per = {
        prefill: async (sequence) => {
            const start = performance.now();
            await sequence.evaluateWithoutGeneratingNewTokens(random(512));
            return 512e3 / (performance.now() - start);
        },
        decode: (sequence) => write(sequence, random(1), 64)
    };
    const once = async (c, f) => {
        const context = await open(c);
        const value = await f(context.getSequence());
        await context.dispose();
        return value;
    };
    const together = async (c, n) => {
        const context = await open(c, n, 256);
        const sequences = Array.from({length: n}, () => context.getSequence());
        await Promise.all(sequences.map((q) => q.evaluateWithoutGeneratingNewTokens(random(128))));
        const streams = sequences.map((q) => next(q, random(1)));
        await Promise.all(streams.map((t) => t.next()));
        const start = performance.now();
        await Promise.all(streams.map(async (t) => {
            for (let i = 0; i < 32; i++)
                await t.next();
        }));
        const took = performance.now() - start;
        await Promise.all(streams.map((t) => t.return()));
        await context.dispose();
        return 32e3 * n / took;
    };

    // Load and first token come first: a process has only one start.
    const first = s.start ?? s;
    const context = await open(first);
    out.load = (performance.now() - began) / 1e3;
    const sequence = context.getSequence();
    await next(sequence, random(16)).next();
    out.start = (performance.now() - began) / 1e3;
    await context.dispose();
    if (s.tune) {
        out.tuned = [];
        for (const c of s.tune) {
            const got = {...c};
            for (const row of ["prefill", "decode"])
                got[row] = await once(c, per[row]);
            if (c.batch16)
                got.batch16 = await together(c, 16);
            out.tuned.push(got);
        }
        return out;
    }
    for (const [row, c] of Object.entries(s.rows ?? {})) {
        switch (row) {
            case "prefill":
                await once(c, per.prefill);
                out.prefill = await once(c, per.prefill);
                break;
            case "decode": {
                const context = await open(c);
                out.decode = await write(context.getSequence(), random(1), 64);
                out.rss = resident();
                await context.dispose();
                break;
            }
            case "batch4":
                out.batch4 = await together(c, 4);
                break;
            case "batch16":
                out.batch16 = await together(c, 16);
                break;
            case "contended": {
                const alone = await once(c, per.decode);
                const stop = await spinners(c.spin);
                try {
                    out.contended = await once(c, (q) => write(q, random(1), 64, 15e3));
                } finally {
                    stop();
                }
                out.contended_share = out.contended / alone;
                break;
            }
        }
    }
    return out;
}

// spinners starts processes that spin on the first n cores, and returns how to stop them.
async function spinners(n) {
    const all = await Promise.all(Array.from({length: n}, (_, cpu) => new Promise((resolve, reject) => {
        const p = spawn(process.env.SLUICE, ["models", "spin", String(cpu)], {stdio: ["pipe", "pipe", "inherit"]});
        p.on("error", reject);
        p.stdout.once("data", () => resolve(p));
    })));
    return () => all.forEach((p) => p.stdin.end());
}

function resident() {
    try {
        return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
    } catch {
        return 0;
    }
}

// --- by turns ---

function keep(line) {
    appendFileSync(args.raw, JSON.stringify({at: new Date().toISOString(), ...line}) + "\n");
}

function lines() {
    return existsSync(args.raw) ? readFileSync(args.raw, "utf8").trim().split("\n").filter(Boolean).map((l) => JSON.parse(l)) : [];
}

// on keeps a program on as many cores as it may use threads.
function on(command) {
    if (os.availableParallelism() <= args.threads || process.platform !== "linux")
        return command;
    return ["taskset", "-c", `0-${args.threads - 1}`, ...command];
}

function ask(command, env = {}) {
    const [program, ...rest] = on(command);
    return execFileSync(program, rest, {encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "ignore"], env: {...process.env, ...env}});
}

function llama(file, settings) {
    return JSON.parse(ask([process.execPath, fileURLToPath(import.meta.url), "--worker", file, "--settings", JSON.stringify(settings)]));
}

// tune finds llama.cpp's best settings for a file.
function tune(name, file) {
    const t = args.threads;
    const some = [];
    for (const batch of [512, 2048])
        for (const flash of [true, false])
            some.push({threads: t, batch, flash, batch16: batch === 512});
    if (t > 1)
        some.push({threads: t - 1, batch: 512, flash: true});
    some.unshift(some[0]); // the first one warms up
    const plain = {threads: t, batch: 512, flash: true, mmap: true, mlock: false};
    const tuned = llama(file, {...plain, tune: some}).tuned;
    const best = {};
    for (const row of ["prefill", "decode", "batch16"])
        best[row] = tuned.reduce((a, b) => (b[row] ?? 0) > (a[row] ?? 0) ? b : a);
    const memory = [{mmap: true, mlock: false}, {mmap: false, mlock: false}, {mmap: true, mlock: true}].map((m) => {
        const got = llama(file, {...plain, ...m, rows: {decode: best.decode}});
        return {...m, start: got.start, decode: got.decode, rss: got.rss};
    });
    const line = {who: "tune", file: name, tuned, memory, best: {
        ...Object.fromEntries(Object.entries(best).map(([row, c]) => [row, {threads: c.threads, batch: c.batch, flash: c.flash}])),
        start: pick(memory, "start", -1), memory: pick(memory, "rss", -1), load: pick(memory, "decode", 1)
    }};
    keep(line);
    return line;
}

function pick(list, by, sign) {
    const m = list.reduce((a, b) => sign * b[by] > sign * a[by] ? b : a);
    return {mmap: m.mmap, mlock: m.mlock};
}

// owned reports whether llama.cpp's own programs alone are asked for a row: not for prompts, which the binding was seen to
// read faster.
function owned(row) {
    return args.own && row !== "prefill" && (row.startsWith("batch") ? process.env.LLAMA_BATCHED_BENCH : process.env.LLAMA_BENCH);
}

async function round(name, file, best) {
    const t = args.threads;
    const want = (row) => args.rows.includes(row);
    const drop = () => execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"]);

    const id = new Date().toISOString();
    const own = ["start", "prefill", "decode", "batch4", "batch16", "ttft", "judge"].filter(want);
    if (want("rss") && !want("decode"))
        own.push("decode");
    const ours = ["models", "bench", file, "--json", "--repeat", "1", "--threads", String(t), "--rows", own.join(",") || "judge"];
    if (want("contended"))
        ours.push("--contend", String(t));
    if (want("cold_start"))
        ours.push("--cold");
    const s = JSON.parse(ask([process.env.SLUICE, ...ours]));
    keep({who: "sluice", round: id, file: name, values: Object.fromEntries(Object.entries(s.samples).map(([k, v]) => [k, v[0]])), file_bytes: s.file_bytes});

    const settings = {...best.decode, ...best.load, start: best.decode, rows: {}};
    for (const [row, from] of [["decode", "decode"], ["prefill", "prefill"], ["batch4", "batch16"], ["batch16", "batch16"]])
        if (want(row) && !owned(row))
            settings.rows[row] = best[from];
    if (want("contended") && !owned("contended"))
        settings.rows.contended = {...best.decode, threads: t, spin: t};
    const {release, ...values} = Object.keys(settings.rows).length > 0 ? llama(file, settings) : {};
    if (want("cold_start")) {
        drop();
        values.cold_start = llama(file, {...best.decode, ...best.start}).start;
    }
    if (want("start"))
        values.start = llama(file, {...best.decode, ...best.start}).start;
    if (want("rss"))
        values.rss_least = llama(file, {...best.decode, ...best.memory, rows: {decode: best.decode}}).rss;
    if (Object.keys(values).length > 0)
        keep({who: "llama.cpp", round: id, file: name, release, values});

    const its = {};
    if (process.env.LLAMA_BENCH && ["prefill", "decode", "contended"].some(want)) {
        const flash = (row) => ["-fa", best[row].flash ? "on" : "off"];
        const bench = (row, extra, threads = String(t)) => Math.max(...JSON.parse(ask([process.env.LLAMA_BENCH, "-m", file, "-t", threads, "-r", "1", "-o", "json",
            ...flash(row), ...extra])).map((v) => v.avg_ts));
        const each = Array.from({length: t}, (_, i) => i + 1).join(",");
        if (want("prefill"))
            its.prefill = bench("prefill", ["-p", "512", "-n", "0", "-b", "2048", "-ub", String(Math.min(best.prefill.batch, 512))]);
        if (want("decode"))
            its.decode = bench("decode", ["-p", "0", "-n", "64"], each);
        if (want("contended")) {
            const alone = bench("decode", ["-p", "0", "-n", "32"], each);
            const stop = await spinners(t);
            its.contended = bench("decode", ["-p", "0", "-n", "32"], each);
            stop();
            its.contended_share = its.contended / alone;
        }
    }
    if (process.env.LLAMA_BATCHED_BENCH && (want("batch4") || want("batch16"))) {
        const text = ask([process.env.LLAMA_BATCHED_BENCH, "-m", file, "-c", "4096", "-b", "2048", "-ub", "512", "-npp", "128", "-ntg", "32", "-npl", [4, 16].filter((n) => want(`batch${n}`)).join(","),
            "-t", String(t), "-tb", String(t), "-fa", best.batch16.flash ? "on" : "off"]);
        for (const row of text.split("\n").filter((l) => /^\|\s+\d/.test(l)).map((l) => l.split("|").map((v) => Number(v.trim()))))
            its[`batch${row[3]}`] = row[8];
    }
    if (Object.keys(its).length > 0)
        keep({who: "llama.cpp's own", round: id, file: name, values: its});
    keep({who: "machine", round: id, file: name, after: roofline()});
}

// roofline measures what the machine gives at the moment.
function roofline() {
    return JSON.parse(ask([process.env.SLUICE, "models", "bench", "embedded", "--json", "--repeat", "1", "--rows", "judge", "--threads", String(args.threads)])).roofline;
}

// --- the report ---

const median = (v) => {
    const s = [...v].sort((a, b) => a - b);
    return s.length % 2 ? s[(s.length - 1) / 2] : (s[s.length / 2 - 1] + s[s.length / 2]) / 2;
};
const digits = (v) => v >= 99.5 ? v.toFixed(0) : v >= 9.95 ? v.toFixed(1) : v.toFixed(2);
const shown = (v, scale) => v.length === 0 ? "–" : v.length === 1 ? digits(v[0] * scale) : `${digits(median(v) * scale)} (${digits(Math.min(...v) * scale)}–${digits(Math.max(...v) * scale)})`;

function report() {
    const all = lines();
    const rounds = all.filter((l) => l.who === "machine");
    const far = (a, b, most) => Math.max(a, b) / Math.min(a, b) > most;
    const kept = (l, reads) => { // our own process measured before it began
        const {dots, read} = all.find((s) => s.who === "sluice" && s.round === l.round).values;
        return !far(dots / 1e9, l.after.int8_gmacs, 1.1) && !(reads && far(read / 1e9, l.after.read_gbps, 1.3));
    };
    const steady = new Set(rounds.filter((l) => kept(l, false)).map((l) => l.round));
    const still = new Set(rounds.filter((l) => kept(l, true)).map((l) => l.round));
    const rounded = (row) => /prefill|batch|judge|ttft|dots|dot_share|rss/.test(row) ? steady : still;
    const sample = (who, file, row) => {
        const lines = all.filter((l) => l.who === who && l.file === file && steady.has(l.round) && l.values[row] > 0);
        const best = lines.filter((l) => rounded(row).has(l.round));
        return (best.length > 1 ? best : lines).map((l) => l.values[row]); // where memory never kept still, medians must do
    };
    const names = [...new Set(all.filter((l) => l.who === "sluice" && steady.has(l.round)).map((l) => l.file))].sort();
    const table = (title, row, scale, better, reach) => {
        const out = [];
        for (const file of names) {
            const ours = sample("sluice", file, row);
            const theirs = [["node-llama-cpp", sample("llama.cpp", file, row)], ["its own bench", sample("llama.cpp's own", file, row)]].filter(([, v]) => v.length > 0);
            if (ours.length === 0 || theirs.length === 0)
                continue;
            const [by, best] = theirs.reduce((a, b) => better * median(b[1]) > better * median(a[1]) ? b : a);
            const ratio = median(ours) / median(best);
            const reached = better * (ratio - reach) >= 0;
            const enough = reach === undefined ? "" : `${reached ? "reaches" : "misses"} ${reach}`;
            out.push(`| ${file} | ${shown(ours, scale)} | ${shown(best, scale)} | ${ratio.toFixed(2)} | ${[enough, theirs.length > 1 ? by : ""].filter(Boolean).join(", ")} |`);
        }
        if (out.length > 0)
            console.log(`\n| ${title} | Sluice | llama.cpp | ratio | |\n| --- | --- | --- | --- | --- |\n${out.join("\n")}`);
    };
    table("prefill of 512, tokens/s", "prefill", 1, 1, 2.5);
    table("decode of 64, tokens/s", "decode", 1, 1, 1.8);
    table("4 together, tokens/s", "batch4", 1, 1);
    table("16 together, tokens/s", "batch16", 1, 1, 3.5);
    table("decode beside spinning processes, tokens/s", "contended", 1, 1);
    table("… as a share of decode alone", "contended_share", 1, 1);
    table("load and first token, ms", "start", 1e3, -1);
    table("… the file not in the system's cache, ms", "cold_start", 1e3, -1, 1);
    console.log("\n| resident memory, MiB | file | Sluice | of the file | while loading | llama.cpp | its least |\n| --- | --- | --- | --- | --- | --- | --- |");
    for (const file of names) {
        const size = all.find((l) => l.who === "sluice" && l.file === file).file_bytes;
        const of = (v) => v.length === 0 ? "–" : digits(median(v) / (1 << 20));
        const rss = sample("sluice", file, "rss");
        if (rss.length > 0)
            console.log(`| ${file} | ${digits(size / (1 << 20))} | ${of(rss)} | ${(median(rss) / size).toFixed(2)} | ${of(sample("sluice", file, "rss_peak"))} | ${of(sample("llama.cpp", file, "rss"))} | ${of(sample("llama.cpp", file, "rss_least"))} |`);
    }
    console.log("\n| rooflines | memory reads, GB/s | decode reads | share | bytes multiply, GMAC/s | prefill multiplies | share |\n| --- | --- | --- | --- | --- | --- | --- |");
    for (const file of names)
        console.log(`| ${file} | ${[["read", 1e-9], ["decode_read", 1e-9], ["read_share", 1], ["dots", 1e-9], ["prefill_dots", 1e-9], ["dot_share", 1]].map(([row, scale]) => shown(sample("sluice", file, row), scale)).join(" | ")} |`);
    console.log("\n| judge | 200 tokens, ms | first token after 200, ms |\n| --- | --- | --- |");
    for (const file of names)
        console.log(`| ${file} | ${shown(sample("sluice", file, "judge"), 1e3)} | ${shown(sample("sluice", file, "ttft"), 1e3)} |`);
    console.log("\nllama.cpp's best settings:");
    for (const file of names) {
        const best = all.findLast((l) => l.who === "tune" && l.file === file)?.best;
        if (best)
            console.log(`- ${file}: ` + ["prefill", "decode", "batch16"].map((row) => `${row} ${best[row].threads} threads, batch ${best[row].batch}, flash attention ${best[row].flash ? "on" : "off"}`).join("; ")
                + `; start ${memory(best.start)}; memory ${memory(best.memory)}; speed ${memory(best.load)}`);
    }
    const release = all.findLast((l) => l.release)?.release;
    console.log(`\nllama.cpp ${release ?? "?"} through node-llama-cpp 3.22.1; medians, least and greatest in brackets where there is more than one round; of ${rounds.length} rounds, ${rounds.length - steady.size} left out and ${steady.size - still.size} in part, for the machine changed.`);
}

const memory = (m) => m.mlock ? "mlock" : m.mmap ? "mmap" : "no mmap";

if (args.worker) {
    console.log(JSON.stringify(await worker(args.worker, JSON.parse(args.settings))));
    process.exit(0);
}
if (!args.models || !args.raw) {
    console.error("speed.mjs: --models and --raw are needed; speed.sh gives them");
    process.exit(2);
}
if (args.report) {
    report();
    process.exit(0);
}
const names = args.files ?? readdirSync(args.models).filter((f) => f.endsWith(".gguf")).map((f) => f.replace(/\.gguf$/, "")).sort();
const tuned = {};
for (const name of names)
    tuned[name] = lines().findLast((l) => l.who === "tune" && l.file === name) ?? (console.error(`${name}: llama.cpp's settings`), tune(name, path.join(args.models, name + ".gguf")));
for (let r = 1; r <= (args.tune ? 0 : args.rounds); r++) {
    for (const name of names) {
        console.error(`${name}: round ${r} of ${args.rounds}`);
        await round(name, path.join(args.models, name + ".gguf"), tuned[name].best);
    }
}
if (!args.tune)
    report();
