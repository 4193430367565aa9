package ratelimit_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/ratelimit"
)

// hostile are names and spaces made to meet under careless encodings.
var hostile = []string{
	"a", "b", "ab", "ba", "bc", "abc", "A", "3", "3:", ":3", "1:a", "a:b", "a:b:c", ":", "::", "|", "a|b", "\n", "a\nb",
	"\r\n", "{}", "{a}", "a}b{", "%", "%00", "%3A", `\`, `\x00`, `"`, "'", " ", "a ", " a", "\t", "\x01", "\x7f", "é", "e\u0301",
	"日本", "日", "本", "\u202e", "\U0010ffff", "org", "org:org", strings.Repeat("a", 15), strings.Repeat("a", 16), strings.Repeat("a", 5000),
}

func TestBucketKey(t *testing.T) {
	t.Parallel()
	if got, want := (ratelimit.Bucket{Space: "org", Name: "acme"}).Key(), "3:org:acme"; got != want {
		t.Errorf("Key() = %q, want %q", got, want)
	}
	seen := make(map[string]ratelimit.Bucket)
	for _, space := range hostile {
		for _, name := range hostile {
			b := ratelimit.Bucket{Space: space, Name: name}
			if other, ok := seen[b.Key()]; ok {
				t.Errorf("%q and %q have the same key %q", b, other, b.Key())
			}
			seen[b.Key()] = b
		}
	}
}

func FuzzBucketKey(f *testing.F) {
	f.Add("a", "b:c", "a:b", "c")
	f.Add("1:a", "", "1", "a:")
	f.Add("\xff", "\x00", "", ":")
	f.Fuzz(func(t *testing.T, space1, name1, space2, name2 string) {
		b1, b2 := ratelimit.Bucket{Space: space1, Name: name1}, ratelimit.Bucket{Space: space2, Name: name2}
		if (b1 == b2) != (b1.Key() == b2.Key()) {
			t.Errorf("%q has key %q, %q has key %q", b1, b1.Key(), b2, b2.Key())
		}
	})
}

// However the names are chosen, draining one bucket leaves all others full.
func TestMemoryBucketsDoNotMeet(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(2)
	var m ratelimit.Memory
	for _, space := range hostile {
		for _, name := range hostile {
			d, err := m.Take(ctx, ratelimit.Bucket{Space: space, Name: name}, l, epoch, 2)
			if err != nil || !d.Allowed {
				t.Fatalf("bucket %q %q is not full: %+v, %v", space, name, d, err)
			}
		}
	}
	if want := len(hostile) * len(hostile); m.Len() != want {
		t.Errorf("%d buckets, want %d", m.Len(), want)
	}
}

func TestLimiterNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := ratelimit.MustPerMinute(1)
	lim, err := ratelimit.NewLimiter(&ratelimit.Memory{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range hostile {
		if d, err := lim.TakeAt(ctx, name, l, epoch, 1); err != nil || !d.Allowed {
			t.Errorf("%q: %+v, %v; want a full bucket of its own", name, d, err)
		}
		if err := (ratelimit.Bucket{Space: name, Name: name}).Validate(); err != nil {
			t.Errorf("Validate of %q: %v", name, err)
		}
	}
	long := strings.Repeat("a", 40)
	bad := []string{"", "\x00", "a\x00", "\x00a", "\xff", "a\xc3", "\xed\xa0\x80", long + "\x00", long + "\xff" + long, "é\x00"}
	for i := range 16 { // each place in a word of eight and in what is left over
		bad = append(bad, long[:i]+"\x00"+long[:16], long[:i]+"\x80"+long[:16], long[:i]+"\x00", long[:i]+"\xff", long[:i]+"\x01\x00")
	}
	for _, name := range bad {
		if d, err := lim.TakeAt(ctx, name, l, epoch, 1); !errors.Is(err, ratelimit.ErrBucket) || d != (ratelimit.Decision{}) {
			t.Errorf("TakeAt of %q = %+v, %v; want ErrBucket", name, d, err)
		}
		if d, err := lim.Take(ctx, name, l, 1); !errors.Is(err, ratelimit.ErrBucket) || d != (ratelimit.Decision{}) {
			t.Errorf("Take of %q = %+v, %v; want ErrBucket", name, d, err)
		}
		for _, b := range []ratelimit.Bucket{{Space: "org", Name: name}, {Space: name, Name: "acme"}, {Space: name, Name: name}} {
			if err := b.Validate(); err != ratelimit.ErrBucket {
				t.Errorf("Validate of %q: %v, want ErrBucket", b, err)
			}
		}
		if _, err := lim.In(name); !errors.Is(err, ratelimit.ErrBucket) {
			t.Errorf("In of space %q: %v, want ErrBucket", name, err)
		}
		if name == "" {
			continue // the empty space is the default
		}
		if _, err := ratelimit.NewLimiter(&ratelimit.Memory{}, &ratelimit.Options{Space: name}); !errors.Is(err, ratelimit.ErrBucket) {
			t.Errorf("New with space %q: %v, want ErrBucket", name, err)
		}
	}
}
