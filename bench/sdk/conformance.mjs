// OpenAI's JavaScript SDK against a running gateway. Nothing here knows that it is not OpenAI.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const ask = (extra) => ({ messages: [{ role: "user", content: "Say something, please." }], max_tokens: 16, seed: 3, ...extra });
let passed = 0;
async function test(name, f) {
  await f();
  passed++;
  console.log("ok  ", name);
}

for (const model of ["local", "up/big"]) {
  await test(`${model}: unstreamed`, async () => {
    const { data, response } = await client.chat.completions.create(ask({ model })).withResponse();
    assert.equal(data.object, "chat.completion");
    assert.ok(data.choices[0].message.content.length > 0);
    assert.ok(["stop", "length"].includes(data.choices[0].finish_reason));
    assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
    assert.match(response.headers.get("sluice-decision"), /^dec_/);
    assert.equal(response.headers.get("sluice-route"), model === "local" ? "local" : "cloud");
  });
  await test(`${model}: streamed, with usage`, async () => {
    const stream = await client.chat.completions.create(ask({ model, stream: true, stream_options: { include_usage: true } }));
    let text = "", finish = null, usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.ok(text.length > 0 && finish && usage.total_tokens > 0);
    const whole = await client.chat.completions.create(ask({ model }));
    assert.equal(text, whole.choices[0].message.content, "the same seed says the same, streamed and not");
  });
  await test(`${model}: the stream helper`, async () => {
    const runner = client.chat.completions.stream(ask({ model }));
    const done = await runner.finalChatCompletion();
    assert.ok(done.choices[0].message.content.length > 0);
  });
  await test(`${model}: two choices, stop, log-probabilities`, async () => {
    const r = await client.chat.completions.create(ask({ model, n: 2, stop: ["zzzz"], logprobs: true, top_logprobs: 2, temperature: 1 }));
    assert.equal(r.choices.length, 2);
    assert.equal(r.choices[1].index, 1);
    assert.equal(r.choices[0].logprobs.content[0].top_logprobs.length, 2);
  });
}

const weather = { type: "object", required: ["city", "days", "note"], additionalProperties: false, properties: {
  city: { enum: ["Rome", "Bern"] }, days: { type: "integer", minimum: 1, maximum: 7 }, note: { type: "string", minLength: 8, maxLength: 24 } } };
const fits = (v) => ["Rome", "Bern"].includes(v.city) && v.days >= 1 && v.days <= 7 && [...v.note].length >= 8;
for (const model of ["local", "up/big"]) {
  await test(`${model}: a streamed tool call, through the stream helper`, async () => {
    const tools = [{ type: "function", function: { name: "weather", parameters: weather } }];
    const runner = client.chat.completions.stream(ask({ model, tools, tool_choice: "required", parallel_tool_calls: false, max_tokens: 200 }));
    let pieces = "", deltas = 0;
    runner.on("tool_calls.function.arguments.delta", (e) => { pieces += e.arguments_delta; deltas++; });
    const done = await runner.finalChatCompletion();
    const [call] = done.choices[0].message.tool_calls;
    assert.equal(done.choices[0].finish_reason, "tool_calls");
    assert.ok(call.id && call.function.name === "weather" && fits(JSON.parse(call.function.arguments)), call.function.arguments);
    assert.equal(pieces, call.function.arguments);
    assert.ok(deltas > 3, `${deltas} deltas`);
  });
  await test(`${model}: a JSON Schema, streamed and not`, async () => {
    const response_format = { type: "json_schema", json_schema: { name: "weather", strict: true, schema: weather } };
    const r = await client.chat.completions.parse(ask({ model, response_format, max_tokens: 200 }));
    assert.ok(fits(r.choices[0].message.parsed ?? JSON.parse(r.choices[0].message.content)));
    const done = await client.chat.completions.stream(ask({ model, response_format, max_tokens: 200 })).finalChatCompletion();
    assert.ok(fits(JSON.parse(done.choices[0].message.content)));
  });
}

await test("tools are accepted", async () => {
  const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
  const r = await client.chat.completions.create(ask({ model: "local", tools }));
  assert.ok(r.choices[0].finish_reason);
});

await test("models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  for (const id of ["auto", "local", "cloud", "local/nano", "local/home", "up/big"]) assert.ok(ids.includes(id), id);
  assert.equal((await client.models.retrieve("up/big")).owned_by, "up");
});

await test("errors are the SDK's own classes", async () => {
  await assert.rejects(client.chat.completions.create(ask({ model: "nobody" })), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
  await assert.rejects(client.chat.completions.create(ask({ model: "auto", temperature: 9 })), (e) => e instanceof OpenAI.BadRequestError && e.param === "temperature");
  await assert.rejects(new OpenAI({ apiKey: "sk-wrong", maxRetries: 0 }).models.list(), (e) => e instanceof OpenAI.AuthenticationError && e.code === "invalid_api_key");
  await assert.rejects(client.chat.completions.create(ask({ model: "local/nano" })), (e) => e instanceof OpenAI.APIError && e.status === 503 && e.code === "local_model_insufficient");
});

await test("cancelling a stream", async () => {
  const stream = await client.chat.completions.create(ask({ model: "local", stream: true, max_tokens: 400 }));
  for await (const _ of stream) { stream.controller.abort(); break; }
});

console.log(`${passed} passed, 0 failed`);
