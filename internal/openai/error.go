package openai

import (
	"encoding/json"

	"github.com/sluice-ai/sluice/internal/llm"
)

// An ErrorBody is the error object of OpenAI's API, with the decision's id beside it.
type ErrorBody struct {
	Message  string  `json:"message"`
	Type     string  `json:"type"`
	Param    *string `json:"param"`
	Code     string  `json:"code"`
	Decision string  `json:"decision,omitempty"`
}

// ErrorJSON returns {"error": …} for a client. decision may be "".
func ErrorJSON(kind string, code llm.Code, msg, param, decision string) []byte {
	e := ErrorBody{Message: msg, Type: kind, Code: string(code), Decision: decision}
	if param != "" {
		e.Param = &param
	}
	b, err := json.Marshal(map[string]ErrorBody{"error": e})
	if err != nil {
		panic(err) // strings only: cannot fail
	}
	return b
}
