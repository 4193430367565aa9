// Package otelguard reports to OpenTelemetry what becomes of requests, and how long
// calls of the stores take. It only needs the API of OpenTelemetry; the host chooses an
// exporter.
//
//	t, err := otelguard.New(provider, nil) // a metric.MeterProvider
//	manager, err := keys.NewManager(t.Records(db), &keys.Options{Hook: t.Event})
//	limiter, err := ratelimit.NewLimiter(t.Limits(db), &ratelimit.Options{Hook: t.LimiterFailure})
//	guard, err := middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{Hook: t.Event})
//	handler, err := oauth.NewHandler(server, issuer, &oauth.HandlerOptions{Hook: t.Event})
//
// With a cache of records, leases of quota or uses:
//
//	cache, err := keys.NewCache(t.Records(db), nil)
//	_, err = t.ObserveCache(cache)
//	leases, err := ratelimit.NewLeases(t.Limits(db), nil)
//	_, err = t.ObserveLeases(leases)
//	_, err = t.ObserveUses(uses)
//
// # Metrics
//
//	claviger.requests             requests by claviger.outcome and claviger.kind
//	claviger.replaced_uses        uses of keys that have a successor, by claviger.outcome; at most one a minute for each key
//	claviger.limit.decisions      verified requests by claviger.outcome: admitted or refused
//	claviger.limit.failures       decisions that the limiter made without its store, by claviger.space
//	claviger.changes              credentials made, changed or found in public, by claviger.change, claviger.kind and claviger.outcome
//	claviger.store.call.duration  seconds that calls of stores take, by claviger.call and claviger.outcome
//	claviger.cache.lookups        checks by claviger.outcome: hit, miss, or lapse (the cache was not in use)
//	claviger.cache.records        records held
//	claviger.feed.failures        polls of the feed of changes that failed
//	claviger.feed.age             seconds since the last poll that was answered began
//	claviger.leases.decisions     requests decided without a trip to the store, by claviger.outcome
//	claviger.leases.trips         trips to the store
//	claviger.uses.dropped         uses that were dropped for want of room
//
// A request that goes through several guards with this hook counts once for each of them.
// A guard inside itself does not count it again, unless it refuses it.
//
// The outcome of a request is "accepted", or the reason why it was refused, one of
// the constants such as [keys.ReasonExpired]. The kind is "key", "token" or "client",
// or "none" if the credential is not known. No attribute of a metric is a name, an ID or
// an address, so the number of series is bounded.
//
// The file dashboard.json is a dashboard of these metrics for Grafana and Prometheus.
//
// # Spans
//
// The instrumentation of the framework begins a span for each request. The span gets
// the attributes claviger.outcome and claviger.kind. If the credential is known, it also
// gets claviger.org and claviger.id, the public ID. If an error is behind a refusal, the
// span gets it as an event. None of these holds a secret.
//
// The service in examples/frameworks/prometheus exports these metrics to Prometheus.
package otelguard
