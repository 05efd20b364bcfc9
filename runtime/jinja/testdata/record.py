"""Record what Python's Jinja makes of cases.json, set up as transformers does.

Run with jinja2 installed: python record.py > python.json
"""

import datetime
import json
import pathlib

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = lambda f: datetime.datetime(2026, 6, 1, 9, 5, 7).strftime(f)

here = pathlib.Path(__file__).parent
cases = json.loads((here / "cases.json").read_text())
out = []
for template in cases["templates"]:
    try:
        want = {"want": env.from_string(template).render(**json.loads(json.dumps(cases["vars"])))}
    except Exception as e:  # a template that fails there must fail here
        want = {"fails": type(e).__name__}
    out.append({"template": template} | want)
print(json.dumps(out, ensure_ascii=False, indent=1))
