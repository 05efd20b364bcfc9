// Package telemetry sets up OpenTelemetry: where spans go, and the metrics
// page. It is the only importer of the SDK and of the exporters; everybody
// else uses the API and the global providers that [Start] installs.
//
// # Invariants
//
// Telemetry never slows a request: a span is queued or dropped, and a
// collector that is down, slow or wrong costs one log line a minute. Nothing
// that a collector says back is logged, for it may quote spans.
//
// Traces may be lost. What must not be lost is in telemetry/ledger, which does
// not depend on this package.
package telemetry
