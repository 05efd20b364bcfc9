"""OpenAI's Python SDK against a running gateway. Nothing here knows that it is not OpenAI."""
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

assert "local/nano" in [m.id for m in client.models.list()]
ok("models")
try:
    client.chat.completions.create(model="nobody", **ask)
    raise SystemExit("an unknown model was answered")
except openai.NotFoundError as e:
    assert e.code == "model_not_found"
ok("errors")
print(f"{passed} passed, 0 failed")
