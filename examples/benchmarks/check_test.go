package benchmarks_test

import (
	"testing"
)

// BenchmarkCheck is the decision on one request, without a context and without
// an answer.
func BenchmarkCheck(b *testing.B) {
	b.Run("impl=floor", func(b *testing.B) {
		text := must(newKeyText())
		g, r := newFloorGuard(text, plenty), bearer(text)
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := g.check(r, scope); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("impl=claviger", func(b *testing.B) {
		h := newHost(nil)
		_, text := h.key(org, plenty)
		r := bearer(text)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.guard.Check(r, need); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestFloorCheck checks each way in which the floor refuses.
func TestFloorCheck(t *testing.T) {
	t.Parallel()
	text, unknown := must(newKeyText()), must(newKeyText())
	g := newFloorGuard(text, 4)
	expired, revoked := must(newKeyText()), must(newKeyText())
	bucket := &floorBucket{cost: 1, window: 1}
	g.add(expired, &floorRecord{scopes: []string{scope}, expires: 1, bucket: bucket})
	r := &floorRecord{scopes: []string{scope}, expires: 1 << 62, bucket: bucket}
	r.revoked.Store(true)
	g.add(revoked, r)
	id := text[:len(text)-50]
	for _, tt := range []struct {
		name, text, scope string
		want              error
	}{
		{"good", text, scope, nil},
		{"no credential", "", scope, errFloorCredential},
		{"malformed", "key", scope, errFloorCredential},
		{"unknown", unknown, scope, errFloorCredential},
		{"wrong secret", withSecretOf(id, unknown), scope, errFloorCredential},
		{"expired", expired, scope, errFloorCredential},
		{"revoked", revoked, scope, errFloorCredential},
		{"scope", text, other, errFloorScope},
		{"good again", text, scope, nil},
		{"and again", text, scope, nil},
		{"over the limit", text, scope, errFloorLimit},
	} {
		if _, _, err := g.check(bearer(tt.text), tt.scope); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestFloorAllocations pins what makes the floors floors.
func TestFloorAllocations(t *testing.T) {
	text := must(newKeyText())
	g, r, w := newFloorGuard(text, plenty), bearer(text), newWriter()
	if n := testing.AllocsPerRun(200, func() { _, _, _ = g.check(r, scope) }); n != 0 {
		t.Errorf("the check allocates %v times, want 0", n)
	}
	for _, quota := range []bool{true, false} {
		h := g.require(scope, quota, nothing)
		if n := testing.AllocsPerRun(200, func() { w.serve(h, r) }); n != 1 {
			t.Errorf("the middleware allocates %v times, want 1", n)
		}
	}
}
