// Package semconv is the table of the OpenTelemetry names that Sluice uses and
// did not invent. The conventions for generative AI left the main repository
// at its v1.42 and are still being renamed, so the names are pinned here and
// nowhere else; names of our own begin with "sluice." and are in docs/telemetry.md.
//
// Sources, as read:
//
//	gen_ai.*            open-telemetry/semantic-conventions-genai at ac48b1f9,
//	                    docs/gen-ai/client-inference.md (status: Development)
//	gen_ai.guardrail.*  the same repository at f5e3733b, docs/gen-ai/gen-ai-guardrails.md
//	everything else     open-telemetry/semantic-conventions v1.44.0 (stable)
package semconv

// Attributes of a call of a model.
const (
	OperationName    = "gen_ai.operation.name"                // required; a value of the next block
	ProviderName     = "gen_ai.provider.name"                 // required; "local" is our own
	RequestModel     = "gen_ai.request.model"                 // the name at the provider
	RequestStream    = "gen_ai.request.stream"                // bool
	RequestMaxTokens = "gen_ai.request.max_tokens"            // int
	ConversationID   = "gen_ai.conversation.id"               // only as a keyed digest
	FinishReasons    = "gen_ai.response.finish_reasons"       // string[]
	TimeToFirstChunk = "gen_ai.response.time_to_first_chunk"  // double, seconds, streams only
	InputTokens      = "gen_ai.usage.input_tokens"            // int, cached ones included
	OutputTokens     = "gen_ai.usage.output_tokens"           // int, reasoning included
	CacheReadTokens  = "gen_ai.usage.cache_read.input_tokens" // int, a part of InputTokens
	ReasoningTokens  = "gen_ai.usage.reasoning.output_tokens" // int, a part of OutputTokens
	GuardrailName    = "gen_ai.guardrail.component.name"      // the service or API that evaluates
	GuardrailPolicy  = "gen_ai.guardrail.policy.id"           // string
	GuardrailVersion = "gen_ai.guardrail.policy.version"      // our policy revision
	GuardrailResult  = "gen_ai.guardrail.result.type"         // the name of the result, as the component has it
	GuardrailValue   = "gen_ai.guardrail.result.value"        // string; the component's own value, never an invented verdict
	GuardrailEvent   = "gen_ai.guardrail.result"              // event of an in-process guardrail
)

// Values of [OperationName].
const (
	OperationChat      = "chat"
	OperationGuardrail = "apply_guardrail"
)

// Attributes of HTTP, of errors, of peers and of the process.
const (
	HTTPMethod     = "http.request.method"
	HTTPRoute      = "http.route" // the path template alone, without the method
	HTTPStatus     = "http.response.status_code"
	ErrorType      = "error.type" // a stable class, never a message
	ServerAddress  = "server.address"
	ServerPort     = "server.port"
	ServiceName    = "service.name"
	ServiceVersion = "service.version"
)

// Names lists every name above but the values.
var Names = []string{
	OperationName, ProviderName, RequestModel, RequestStream, RequestMaxTokens, ConversationID,
	FinishReasons, TimeToFirstChunk, InputTokens, OutputTokens, CacheReadTokens, ReasoningTokens,
	GuardrailName, GuardrailPolicy, GuardrailVersion, GuardrailResult, GuardrailValue, GuardrailEvent,
	HTTPMethod, HTTPRoute, HTTPStatus, ErrorType, ServerAddress, ServerPort, ServiceName, ServiceVersion,
}
