// Package jinja renders the chat templates that model files carry, as Python's
// Jinja does with the settings of transformers: trim_blocks, lstrip_blocks, loop
// controls, {% generation %}, tojson that escapes nothing, strftime_now and
// raise_exception.
//
// It is a language of its own size, not all of Jinja: no includes, imports,
// inheritance, filters that call back into the host, or anything that reaches
// beyond the values it is given. What it does not know is an error when the
// template is parsed, or rendered.
//
// # Literal text
//
// Every string remembers which of its bytes came from a [Literal]: through
// concatenation, trimming, splitting, replacing, JSON. [Template.Render] tells
// text that the template wrote from text that it was given, so that a user
// cannot write a control token, whatever the template does.
//
// # Bounds
//
// A template may be hostile. Its size, nesting, steps, recursion and the bytes
// it makes are bounded; [Template.Render] fails, rather than hangs, beyond.
package jinja
