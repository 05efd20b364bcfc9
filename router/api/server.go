package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/semconv"
	"github.com/sluice-ai/sluice/router"
)

// Config configures a [Server].
type Config struct {
	Router    *router.Router
	Inspector router.Inspector
	Keys      []Key
	// MaxBody bounds a request's body in bytes. Default 32 MiB.
	MaxBody int64
	Version string
	Log     *slog.Logger
}

// A Server is the handler of the data listener. It is safe for concurrent use.
type Server struct {
	cfg    Config
	keys   *keyring
	mux    *http.ServeMux
	tracer trace.Tracer

	grace, stall time.Duration // what clients are granted: see guard.go
}

// New returns a Server, or every mistake in the keys.
func New(cfg Config) (*Server, error) {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 32 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	keys, err := newKeyring(cfg.Keys)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, keys: keys, mux: http.NewServeMux(), grace: bodyGrace, stall: readStall}
	s.tracer = otel.Tracer("github.com/sluice-ai/sluice/router/api")
	s.mux.HandleFunc("POST /v1/chat/completions", s.admitted(s.chat))
	s.mux.HandleFunc("POST /v1/route", s.admitted(s.route))
	s.mux.HandleFunc("POST /v1/feedback", s.admitted(s.feedback))
	s.mux.HandleFunc("POST /v1/inspect", s.admitted(s.inspect))
	s.mux.HandleFunc("GET /v1/models", s.admitted(s.models))
	s.mux.HandleFunc("GET /v1/models/{model...}", s.admitted(s.model))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	s.mux.HandleFunc("/", s.lost)
	return s, nil
}

// ServeHTTP serves one request. A handler that panics answers 500 when nothing
// was sent yet; an answer that has begun breaks off.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := newGuard(rw, s.stall)
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		// The value of a panic may hold a piece of the request: log where, not what.
		s.cfg.Log.Error("a handler panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		if w.begun {
			panic(http.ErrAbortHandler) // the client must not take it for a whole answer
		}
		writeError(w, errors.New("panic"), w.Header().Get("Sluice-Decision"))
	}()
	s.mux.ServeHTTP(w, r)
}

// known are the paths that exist, and the method each takes.
var known = map[string]string{
	"/v1/chat/completions": "POST", "/v1/route": "POST", "/v1/inspect": "POST", "/v1/feedback": "POST", "/v1/models": "GET", "/healthz": "GET",
}

// lost answers what no other handler takes.
func (s *Server) lost(w http.ResponseWriter, r *http.Request) {
	if method, ok := known[r.URL.Path]; ok {
		w.Header().Set("Allow", method)
		f := failureOf(&llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Msg: fmt.Sprintf("%s takes %s", r.URL.Path, method)})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = w.Write(f.json("")) // the client is gone: nobody to tell
		return
	}
	writeError(w, &llm.Error{Kind: llm.NotFound, Code: llm.CodeNotFound,
		Msg: "there is no such endpoint: this gateway serves /v1/chat/completions, /v1/models, /v1/route, /v1/inspect and /v1/feedback"}, "")
}

// A call is an admitted HTTP request.
type call struct {
	id   string
	who  llm.Principal
	at   time.Time
	body []byte
	span trace.Span
}

type handler func(ctx context.Context, c *call, w http.ResponseWriter, r *http.Request)

// admitted wraps a handler with the first step of the path: trace, key, rate, size.
func (s *Server) admitted(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{id: "dec_" + ulid.Make().String(), at: time.Now()}
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		_, path, _ := strings.Cut(r.Pattern, " ")
		ctx, c.span = s.tracer.Start(ctx, r.Pattern, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String(semconv.HTTPMethod, r.Method),
			attribute.String(semconv.HTTPRoute, path),
			attribute.String("sluice.decision", c.id),
		))
		defer c.span.End()
		w.Header().Set("Sluice-Decision", c.id)
		if err := s.admit(ctx, c, w, r); err != nil {
			s.turnAway(ctx, c, w, err)
			return
		}
		next(ctx, c, w, r)
	}
}

// turnAway answers a call that was refused before it could be planned.
func (s *Server) turnAway(ctx context.Context, c *call, w http.ResponseWriter, err error) {
	c.fail(err)
	s.cfg.Router.Refused(ctx, c.who.Tenant, failureOf(err).status)
	w.Header().Set("Sluice-Route", string(llm.RouteBlocked))
	w.Header().Set("Sluice-Target", "none")
	writeError(w, err, c.id)
}

func (s *Server) admit(ctx context.Context, c *call, w http.ResponseWriter, r *http.Request) error {
	_, span := s.tracer.Start(ctx, "sluice.admit")
	defer span.End()
	in := newPaced(w, http.MaxBytesReader(w, r.Body, s.cfg.MaxBody), s.grace)
	var err error
	if c.who, err = s.keys.admit(r); err != nil {
		return err
	}
	span.SetAttributes(attribute.String("sluice.tenant", c.who.Tenant), attribute.String("sluice.key", c.who.Key))
	if r.Method != http.MethodPost {
		in.done()
		return nil
	}
	if c.body, err = io.ReadAll(in); err == nil {
		in.done()
		return nil
	}
	w.Header().Set("Connection", "close") // what is left of the body is of no use
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeBodyTooLarge,
			Msg: fmt.Sprintf("the body is larger than %d bytes, the most this gateway takes", s.cfg.MaxBody)}
	}
	return &llm.Error{Kind: llm.Canceled, Code: llm.CodeTimeout, Err: err, Msg: "the body did not arrive whole, or too slowly"}
}

// fail marks the call's span.
func (c *call) fail(err error) {
	f := failureOf(err)
	c.span.SetAttributes(attribute.String(semconv.ErrorType, string(f.code)), attribute.Int(semconv.HTTPStatus, f.status))
	if f.status >= 500 {
		c.span.SetStatus(codes.Error, string(f.code))
	}
}
