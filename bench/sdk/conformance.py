"""OpenAI's Python SDK against a running gateway. Nothing here knows that it is not OpenAI."""
import json

import openai

client = openai.OpenAI(max_retries=0)
ask = {"messages": [{"role": "user", "content": "Say something, please."}], "max_tokens": 16, "seed": 3}
passed = 0


def ok(name):
    global passed
    passed += 1
    print("ok  ", name)


for model in ("local", "up/big"):
    whole = client.chat.completions.with_raw_response.create(model=model, **ask)
    assert whole.headers["sluice-route"] == ("local" if model == "local" else "cloud")
    answer = whole.parse()
    assert answer.choices[0].message.content and answer.usage.total_tokens > 0
    ok(f"{model}: unstreamed")
    text = ""
    for chunk in client.chat.completions.create(model=model, stream=True, **ask):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
    assert text == answer.choices[0].message.content
    ok(f"{model}: streamed")

tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "required": ["city", "note"],
        "properties": {"city": {"enum": ["Rome", "Bern"]}, "note": {"type": "string", "minLength": 8, "maxLength": 24}}}}}
for model in ("local", "up/big"):
    call = ask | {"tools": [tool], "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 200}
    with client.chat.completions.stream(model=model, **call) as stream:
        deltas = sum(e.type == "tool_calls.function.arguments.delta" for e in stream)
        message = stream.get_final_completion().choices[0].message
    args = json.loads(message.tool_calls[0].function.arguments)
    assert deltas > 3 and message.tool_calls[0].id and args["city"] in ("Rome", "Bern") and len(args["note"]) >= 8
    ok(f"{model}: a streamed tool call")

assert "local/nano" in [m.id for m in client.models.list()]
ok("models")
try:
    client.chat.completions.create(model="nobody", **ask)
    raise SystemExit("an unknown model was answered")
except openai.NotFoundError as e:
    assert e.code == "model_not_found"
ok("errors")
print(f"{passed} passed, 0 failed")
