package storetest_test

import (
	"context"
	"errors"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// narrow leaves out scopes that are beyond 255 bytes.
func narrow(r *keys.Record) {
	for names := r.Scopes.Names(); len(r.Scopes.String()) > 255; {
		names = names[:len(names)-1]
		r.Scopes, _ = scopes.Of(names...)
	}
}

// location returns a time zone; its rules are linked in.
func location(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// extremeDefects keep what is common, and not what is long, large or early.
var extremeDefects = []*defect{
	{"scopes in 255 bytes", "longest-values-are-kept", altered(narrow)},
	{"networks in a thousand bytes", "longest-values-are-kept", altered(func(r *keys.Record) {
		if names := r.Networks.Strings(); len(names) > 20 {
			r.Networks, _ = keys.NetworksFromStrings(names[:20]...)
		}
	})},
	{"metadata in 4,000 bytes", "longest-values-are-kept", altered(func(r *keys.Record) { r.Metadata = r.Metadata[:min(4000, len(r.Metadata))] })},
	{"JSON in 65,535 bytes", "longest-values-are-kept", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		if text, err := r.MarshalJSON(); err == nil && len(text) > 65_535 {
			return errors.New("data too long for column 'record'")
		}
		return b.Memory.Insert(ctx, r)
	}}},
	{"makers in 250 bytes", "text-is-kept", altered(func(r *keys.Record) { r.CreatedBy = r.CreatedBy[:min(250, len(r.CreatedBy))] })},
	{"environments in 8 bytes", "longest-values-are-kept", altered(func(r *keys.Record) { r.Environment = r.Environment[:min(8, len(r.Environment))] })},
	{"versions below 2 to the 62nd", "numbers-are-kept", altered(func(r *keys.Record) { r.Version = min(r.Version, 1<<62) })},
	{"local time in New York", "times-are-kept", altered(inLocalTime("America/New_York"))},
	{"local time in Berlin", "times-are-kept", altered(inLocalTime("Europe/Berlin"))},
	{"update cuts scopes", "update-writes-extreme-values", written(func(_ keys.Record, r *keys.Record) { narrow(r) })},
	{"update trims text", "update-writes-extreme-values", written(func(_ keys.Record, r *keys.Record) { r.Label = strings.TrimSpace(r.Label) })},
	{"update takes 1970 for never", "update-writes-extreme-values", written(func(_ keys.Record, r *keys.Record) {
		if r.ExpiresAt.UnixMilli() == 0 {
			r.ExpiresAt = time.Time{}
		}
	})},
	{"update knows two forms of digest", "update-writes-extreme-values", written(func(was keys.Record, r *keys.Record) {
		if strings.HasPrefix(r.Digest.Text(), "$2b$") {
			r.Digest = was.Digest
		}
	})},
	{"update has limits in 16 bits", "update-writes-extreme-values", written(func(_ keys.Record, r *keys.Record) { r.RateLimit = min(r.RateLimit, 65535) })},
	{"list cuts scopes", "list-returns-extreme-values", relabelled(narrow)},
	{"list has times in floating point", "list-returns-extreme-values", relabelled(func(r *keys.Record) {
		if !r.ExpiresAt.IsZero() {
			r.ExpiresAt = time.UnixMilli(int64(float32(r.ExpiresAt.UnixMilli())))
		}
	})},
	{"list quotes text", "list-returns-extreme-values", relabelled(func(r *keys.Record) { r.Metadata = strings.ReplaceAll(r.Metadata, "'", "''") })},
}

// relabelled is a List whose records are changed if they are extreme: all that is
// usual stays.
func relabelled(change func(*keys.Record)) broken {
	return paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
		for i := range page {
			if len(page[i].Scopes.String()) > 255 || page[i].ExpiresAt.Year() > 8000 || strings.Contains(page[i].Metadata, "''") {
				change(&page[i])
			}
		}
		return page, nil
	})
}

// inLocalTime writes times as a clock on the wall shows them, and reads them again.
func inLocalTime(zone string) func(*keys.Record) {
	return func(r *keys.Record) {
		const wall = "2006-01-02T15:04:05.999"
		for _, t := range []*time.Time{&r.CreatedAt, &r.ExpiresAt, &r.RevokedAt, &r.DisabledAt, &r.PreviousExpiresAt} {
			if !t.IsZero() {
				*t, _ = time.ParseInLocation(wall, t.In(location(zone)).Format(wall), location(zone))
			}
		}
	}
}
