package keys_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

// TestActorsOfOtherEnvironments has a key of the environment test change one of the
// environment live. It may take away, and gives nothing: it could not have made the key.
func TestActorsOfOtherEnvironments(t *testing.T) {
	t.Parallel()
	lan, part := mustNetworks(t, "10.0.0.0/8"), mustNetworks(t, "10.1.0.0/16")
	target := keys.Spec{Label: "target", Scopes: []string{"keys:manage"}, RateLimit: 20, Networks: lan, Lifetime: time.Hour}
	for _, tt := range []struct {
		name   string
		change keys.Change
		gives  bool
	}{
		{"a label", keys.Change{Label: new("x")}, false},
		{"metadata", keys.Change{Metadata: new("x")}, false},
		{"the same scopes", keys.Change{Scopes: new([]string{"keys:manage"})}, false},
		{"fewer scopes", keys.Change{Scopes: new([]string{})}, false},
		{"one more scope", keys.Change{Scopes: new([]string{"keys:manage", "webhooks:manage"})}, true},
		{"another scope", keys.Change{Scopes: new([]string{"webhooks:manage"})}, true},
		{"the same limit", keys.Change{RateLimit: new(20)}, false},
		{"a lower limit", keys.Change{RateLimit: new(19)}, false},
		{"a higher limit", keys.Change{RateLimit: new(21)}, true},
		{"the default limit", keys.Change{RateLimit: new(0)}, true},
		{"fewer networks", keys.Change{Networks: &part}, false},
		{"all networks", keys.Change{Networks: new(keys.Networks)}, true},
		{"an earlier end", keys.Change{Lifetime: new(time.Minute)}, false},
		{"a later end", keys.Change{Lifetime: new(2 * time.Hour)}, true},
		{"a pause", keys.Change{Disabled: new(true)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				spec := admin
				for _, environment := range []string{"live", "test"} {
					spec.Environment = environment
					p, old := caller(t, env, spec), env.create(target).Record
					_, err := env.manager.As(p).Change(t.Context(), keys.KindKey, old.ID, tt.change)
					if environment == "live" || !tt.gives {
						if err != nil {
							t.Errorf("by a key of %s: %v", environment, err)
						}
						continue
					}
					var beyond *keys.BeyondError
					if !errors.As(err, &beyond) || beyond.Field != keys.FieldEnvironment {
						t.Errorf("by a key of %s: %v", environment, err)
					}
					stored, err := env.manager.Get(t.Context(), "acme", "", old.ID)
					if diff := cmp.Diff(old, stored, cmpRecords); err != nil || diff != "" {
						t.Errorf("a refused change is there: %v\n%s", err, diff)
					}
				}
			})
		})
	}
}
