package keys_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestCaps makes keys and clients until there are as many as there may be, one
// after the other and all at once.
func TestCaps(t *testing.T) {
	t.Parallel()
	caps := map[keys.Kind]int{keys.KindKey: 5, keys.KindClient: 4}
	env := newEnv(t, &keys.Options{MaxKeys: caps[keys.KindKey], MaxClients: caps[keys.KindClient]})
	first := env.create(keys.Spec{})
	a := env.manager.As(caller(t, env, admin))
	live := func(kind keys.Kind) int {
		n, err := env.manager.Count(t.Context(), "acme", kind, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
		var wg sync.WaitGroup
		var mu sync.Mutex
		most, made := caps[kind], live(kind)
		for range 20 {
			wg.Go(func() {
				switch issued, err := a.Create(t.Context(), keys.Spec{Kind: kind}); {
				case err == nil:
					mu.Lock()
					defer mu.Unlock()
					made++
				case !errors.Is(err, keys.ErrLimitReached) || issued.Text.Len() > 0:
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if made > most || live(kind) != made {
			t.Errorf("%d %ss were made, %d are live, of %d that may be", made, kind, live(kind), most)
		}
		for made < most {
			if _, err := a.Create(t.Context(), keys.Spec{Kind: kind}); err != nil {
				t.Fatalf("%s %d: %v", kind, made+1, err)
			}
			made++
		}
		if _, err := a.Create(t.Context(), keys.Spec{Kind: kind}); !errors.Is(err, keys.ErrLimitReached) {
			t.Errorf("one %s too many: %v", kind, err)
		}
		if kind == keys.KindKey {
			last := first
			if _, err := a.Rotate(t.Context(), last.Record.ID, keys.Rotation{Overlap: time.Hour}); !errors.Is(err, keys.ErrLimitReached) {
				t.Errorf("a rotation with an overlap: %v", err)
			}
			if _, err := env.verify(last.Text.Reveal()); err != nil {
				t.Errorf("the old key suffers: %v", err)
			}
			if _, err := a.Rotate(t.Context(), last.Record.ID, keys.Rotation{}); err != nil {
				t.Errorf("a rotation at once: %v", err)
			}
		}
		if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{Kind: kind}); err != nil {
			t.Errorf("the host's own call: %v", err)
		}
	}
	if _, err := env.manager.Create(t.Context(), "globex", keys.Spec{}); err != nil {
		t.Errorf("another organization: %v", err)
	}
	env = newEnv(t, &keys.Options{MaxKeys: 1})
	a = env.manager.As(caller(t, env, admin))
	for range 2 {
		if _, err := a.Create(t.Context(), keys.Spec{Kind: keys.KindClient}); err != nil {
			t.Errorf("a client, where keys alone are bounded: %v", err)
		}
	}
}
