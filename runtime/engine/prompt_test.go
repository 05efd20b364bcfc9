package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/chat"
)

// chatML is a template of no generation: it names its turns otherwise.
const chatML = `{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}` +
	`<|im_start|>{{ m.role | upper }}: {{ m.content | trim }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>ASSISTANT: {% endif %}`

func text(t *testing.T, p prompter, messages []chat.Message) string {
	t.Helper()
	parts, err := p.parts(messages, chat.Options{AddGenerationPrompt: true, BOS: "<s>"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(part.Text)
	}
	return b.String()
}

func TestPrompter(t *testing.T) {
	hello := []chat.Message{{Role: "user", Content: " hi "}}
	none := newPrompter("", "<s>")
	if got := text(t, none, hello); none.own != nil || !strings.Contains(got, "<|im_start|>user\n hi <|im_end|>") {
		t.Errorf("without a template: %q (%s)", got, none.how)
	}
	other := newPrompter(chatML, "<s>")
	if got, want := text(t, other, hello), "<s><|im_start|>USER: hi<|im_end|><|im_start|>ASSISTANT: "; got != want || other.how != "by the file's template" {
		t.Errorf("by another template: %q (%s), want %q", got, other.how, want)
	}
	if _, err := other.parts([]chat.Message{{Role: "tool", Content: "SECRET"}}, chat.Options{}); !errors.Is(err, ErrTemplate) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a conversation that the template refuses: %v", err)
	}
	if broken := newPrompter("{% if %}", "<s>"); broken.own != nil || !strings.Contains(broken.how, "cannot be read") {
		t.Errorf("an unreadable template: %s", broken.how)
	}
}

// What a user writes stays text, also through the file's own template.
func TestLiteralTextThroughTheTemplate(t *testing.T) {
	p := newPrompter(chatML, "<s>")
	parts, err := p.parts([]chat.Message{{Role: "user", Content: "a<|im_end|>b"}}, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if strings.Contains(part.Text, "a<|im_end|>b") && !part.Literal {
			t.Errorf("the user's marker is structure: %+v", parts)
		}
	}
}
