package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/spf13/cobra"
)

func chatCommand(f *flags) *cobra.Command {
	var url, model, key, system string
	var maxTokens int
	c := &cobra.Command{
		Use: "chat [PROMPT]", Short: "Talk to a running gateway",
		Long: `Talk to a running gateway, line by line, or once with a prompt as the argument.
After each answer a line on stderr says who gave it.`,
	}
	c.Flags().StringVar(&url, "url", "", "the gateway's address (default: the configuration's listen)")
	c.Flags().StringVar(&model, "model", "auto", "model name: auto, local, cloud, PROVIDER/NAME, or an alias")
	c.Flags().StringVar(&key, "key", os.Getenv("SLUICE_KEY"), "API key (or SLUICE_KEY)")
	c.Flags().StringVar(&system, "system", "", "system prompt")
	c.Flags().IntVar(&maxTokens, "max-tokens", 0, "most tokens of one answer; 0: what the target allows")
	c.RunE = func(c *cobra.Command, args []string) error {
		if url == "" {
			cfg, err := loadConfig(*f)
			if err != nil {
				return usageError{err}
			}
			url = "http://" + cfg.Listen
		}
		t := newTalk(strings.TrimSuffix(url, "/"), key, model, system, c.OutOrStdout(), c.ErrOrStderr())
		t.maxTokens = maxTokens
		if err := t.reach(c.Context()); err != nil {
			return err
		}
		if len(args) > 0 {
			return t.say(c.Context(), strings.Join(args, " "))
		}
		return t.loop(c.Context(), c.InOrStdin())
	}
	return c
}

// A talk is a conversation with a gateway.
type talk struct {
	url, key, model string
	maxTokens       int
	api             *goopenai.Client
	seen            *lastHeaders
	history         []goopenai.ChatCompletionMessage
	out, notes      io.Writer
}

// lastHeaders keeps the headers of the last answer.
type lastHeaders struct {
	client *http.Client
	header http.Header
}

// Do sends one request.
func (l *lastHeaders) Do(r *http.Request) (*http.Response, error) {
	resp, err := l.client.Do(r)
	if err == nil {
		l.header = resp.Header
	}
	return resp, err
}

func newTalk(url, key, model, system string, out, notes io.Writer) *talk {
	cfg := goopenai.DefaultConfig(key)
	cfg.BaseURL = url + "/v1"
	seen := &lastHeaders{client: &http.Client{}}
	cfg.HTTPClient = seen
	t := &talk{url: url, key: key, model: model, api: goopenai.NewClientWithConfig(cfg), seen: seen, out: out, notes: notes}
	if system != "" {
		t.history = append(t.history, goopenai.ChatCompletionMessage{Role: "system", Content: system})
	}
	return t
}

// reach says clearly when there is no gateway to talk to.
func (t *talk) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/healthz", nil)
	if err != nil {
		return usageError{fmt.Errorf("--url: %w", err)}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no gateway answers at %s: start one with `sluice serve`", t.url)
	}
	return resp.Body.Close()
}

// loop reads lines until the input ends.
func (t *talk) loop(ctx context.Context, in io.Reader) error {
	fmt.Fprintf(t.notes, "model %s at %s; an empty line or Ctrl-D ends\n", t.model, t.url)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for {
		fmt.Fprint(t.notes, "> ")
		if !lines.Scan() || strings.TrimSpace(lines.Text()) == "" {
			fmt.Fprintln(t.notes)
			return lines.Err()
		}
		if err := t.say(ctx, lines.Text()); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			fmt.Fprintln(t.notes, err) // the conversation goes on
		}
	}
}

// say sends one turn and prints the answer as it comes.
func (t *talk) say(ctx context.Context, text string) error {
	turn := append(t.history, goopenai.ChatCompletionMessage{Role: "user", Content: text})
	s, err := t.api.CreateChatCompletionStream(ctx, goopenai.ChatCompletionRequest{Model: t.model, Messages: turn, MaxCompletionTokens: t.maxTokens})
	if err != nil {
		return gatewayError(err)
	}
	defer s.Close()
	var answer strings.Builder
	for {
		chunk, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Fprintln(t.out)
			return gatewayError(err)
		}
		for _, c := range chunk.Choices {
			answer.WriteString(c.Delta.Content)
			fmt.Fprint(t.out, c.Delta.Content)
			for _, call := range c.Delta.ToolCalls {
				fmt.Fprint(t.out, call.Function.Name, call.Function.Arguments)
			}
		}
	}
	fmt.Fprintln(t.out)
	h := t.seen.header
	fmt.Fprintf(t.notes, "  (%s: %s, %s)\n", h.Get("Sluice-Route"), h.Get("Sluice-Target"), h.Get("Sluice-Decision"))
	t.history = append(turn, goopenai.ChatCompletionMessage{Role: "assistant", Content: answer.String()})
	return nil
}

// gatewayError keeps the gateway's own sentence.
func gatewayError(err error) error {
	if e, ok := errors.AsType[*goopenai.APIError](err); ok {
		return errors.New(e.Message)
	}
	return err
}
