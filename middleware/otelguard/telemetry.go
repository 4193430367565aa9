package otelguard

import (
	"context"
	"errors"
	"slices"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the instrumentation.
const scope = "github.com/claviger-auth/claviger/middleware/otelguard"

// Options are the settings of a [Telemetry]. A nil *Options is the zero Options.
type Options struct {
	// OmitIDs leaves the organization and the ID of the credential out of spans.
	OmitIDs bool
}

// A Telemetry reports to OpenTelemetry. It is made by [New], and is safe for concurrent
// use.
type Telemetry struct {
	opts  Options
	meter metric.Meter

	requests, replaced, decisions, failures, changes metric.Int64Counter
	duration                                         metric.Float64Histogram
}

// New returns a Telemetry with the instruments of a provider. The error is that of the
// provider.
func New(provider metric.MeterProvider, opts *Options) (*Telemetry, error) {
	if provider == nil {
		return nil, errors.New("otelguard: New needs a provider")
	}
	t := &Telemetry{meter: provider.Meter(scope)}
	if opts != nil {
		t.opts = *opts
	}
	var errs [6]error
	t.requests, errs[0] = t.meter.Int64Counter("claviger.requests",
		metric.WithUnit("{request}"), metric.WithDescription("Requests that were decided on."))
	t.replaced, errs[1] = t.meter.Int64Counter("claviger.replaced_uses",
		metric.WithUnit("{use}"), metric.WithDescription("Uses of keys that have a successor, at most one a minute for each key."))
	t.decisions, errs[2] = t.meter.Int64Counter("claviger.limit.decisions",
		metric.WithUnit("{request}"), metric.WithDescription("Decisions on the limits of organizations."))
	t.failures, errs[3] = t.meter.Int64Counter("claviger.limit.failures",
		metric.WithUnit("{failure}"), metric.WithDescription("Decisions that the store of limits could not make."))
	t.changes, errs[4] = t.meter.Int64Counter("claviger.changes",
		metric.WithUnit("{change}"), metric.WithDescription("Credentials that were made, changed or found in public."))
	t.duration, errs[5] = t.meter.Float64Histogram("claviger.store.call.duration",
		metric.WithUnit("s"), metric.WithDescription("The time that calls of stores take."),
		metric.WithExplicitBucketBoundaries(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5))
	return t, errors.Join(errs[:]...)
}

// Event is a [keys.Hook] for managers, guards and the handlers of package oauth. It
// counts the event, and sets the attributes of the span in ctx.
func (t *Telemetry) Event(ctx context.Context, e keys.Event) {
	kind := kindOf(e.Kind)
	switch e.Type {
	case keys.Accepted, keys.Refused:
		t.decided(ctx, &e, kind)
	case keys.UsedReplaced, keys.UsedEnded:
		t.replaced.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(outcome(outcomeOf(&e)))))
	default:
		t.changes.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("claviger.change", e.Type.String()), kind, outcome(okOrError(e.Err)))))
	}
}

// decided reports a decision about a request.
func (t *Telemetry) decided(ctx context.Context, e *keys.Event, kind attribute.KeyValue) {
	of := outcome(outcomeOf(e))
	t.requests.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(of, kind)))
	if limit := limitOutcome(e); limit != "" {
		t.decisions.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(outcome(limit))))
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(of, kind)
	if e.Org != "" && !t.opts.OmitIDs { // else the ID is what somebody has made up
		span.SetAttributes(attribute.String("claviger.org", e.Org), attribute.String("claviger.id", e.ID))
	}
	if e.Err != nil {
		span.RecordError(e.Err)
	}
}

// LimiterFailure is the Hook of [ratelimit.Options]. It counts the decisions that a
// limiter made without its store.
func (t *Telemetry) LimiterFailure(ctx context.Context, b ratelimit.Bucket, err error) {
	t.failures.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("claviger.space", b.Space))))
}

func outcome(text string) attribute.KeyValue { return attribute.String("claviger.outcome", text) }

// reasons are those that a guard and package oauth give.
var reasons = []string{
	keys.ReasonNoCredential, keys.ReasonSeveral, keys.ReasonMalformed, keys.ReasonUnknown, keys.ReasonMismatch,
	keys.ReasonExpired, keys.ReasonRevoked, keys.ReasonPaused, keys.ReasonNetwork, keys.ReasonLimit,
	keys.ReasonScope, keys.ReasonUnavailable, keys.ReasonCanceled,
}

// outcomeOf returns what became of a request. A reason that a host has made up is
// "other", so that the number of series is bounded.
func outcomeOf(e *keys.Event) string {
	switch {
	case e.Type == keys.Accepted || e.Type == keys.UsedReplaced:
		return "accepted"
	case slices.Contains(reasons, e.Reason):
		return e.Reason
	}
	return "other"
}

// limitOutcome returns what a limit said about a request, or "" if it was not asked: it
// comes after the credential and the network, and before the scope. Clients, who only
// ask for tokens, have no limit of an organization.
func limitOutcome(e *keys.Event) string {
	switch {
	case e.Org == "" || e.Kind == keys.KindClient:
		return ""
	case e.Type == keys.Accepted || e.Reason == keys.ReasonScope:
		return "admitted"
	case e.Reason == keys.ReasonLimit:
		return "refused"
	}
	return ""
}

// kindOf returns the attribute of a kind. One that a host has made up is "other".
func kindOf(k keys.Kind) attribute.KeyValue {
	text := "other"
	switch k {
	case keys.KindKey, keys.KindToken, keys.KindClient:
		text = string(k)
	case "":
		text = "none"
	}
	return attribute.String("claviger.kind", text)
}

func okOrError(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
