package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/sluice-ai/sluice/telemetry/ledger"
)

// scope names this package's own instruments.
const scope = "github.com/sluice-ai/sluice/telemetry"

// maxSeries bounds the label combinations of one instrument. What comes after
// goes into one series with the label otel_metric_overflow.
const maxSeries = 10_000

func newMetrics(res *resource.Resource, log *slog.Logger) (*sdkmetric.MeterProvider, http.Handler, error) {
	reg := prometheus.NewRegistry()
	err := errors.Join(
		reg.Register(collectors.NewGoCollector()),
		reg.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
	if err != nil {
		return nil, nil, err
	}
	reader, err := otelprom.New(otelprom.WithRegisterer(reg), otelprom.WithoutScopeInfo(),
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return nil, nil, err
	}
	page := promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError),
	})
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res),
		sdkmetric.WithCardinalityLimit(maxSeries)), page, nil
}

var noMetrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "metrics are switched off by telemetry.metrics.disable", http.StatusNotFound)
})

// ledgerMeters are the instruments of the ledger, which reports by callback.
type ledgerMeters struct {
	records metric.Int64Counter
	commit  metric.Float64Histogram
	failed  metric.Int64Counter
}

func newLedgerMeters(p *sdkmetric.MeterProvider) (ledgerMeters, error) {
	m := p.Meter(scope)
	records, err1 := m.Int64Counter("sluice.ledger.records", metric.WithDescription("Records made durable."))
	commit, err2 := m.Float64Histogram("sluice.ledger.commit.duration", metric.WithUnit("s"),
		metric.WithDescription("One group commit: write and fsync."),
		metric.WithExplicitBucketBoundaries(.00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3))
	failed, err3 := m.Int64Counter("sluice.ledger.lost", metric.WithDescription("Records that could not be written: the ledger has stopped."))
	return ledgerMeters{records, commit, failed}, errors.Join(err1, err2, err3)
}

// Committed counts a group commit. It is made for ledger.Config.OnCommit.
func (t *Telemetry) Committed(c ledger.Commit) {
	if t.ledger.records == nil {
		return
	}
	ctx := context.Background()
	if c.Err != nil {
		t.ledger.failed.Add(ctx, int64(c.Records))
		return
	}
	t.ledger.records.Add(ctx, int64(c.Records))
	t.ledger.commit.Record(ctx, c.Took.Seconds())
}
