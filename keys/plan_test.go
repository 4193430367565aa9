package keys_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// TestPlans gives an organization plans, and its credentials figures of their own.
func TestPlans(t *testing.T) {
	t.Parallel()
	down := errors.New("billing is down")
	for _, tt := range []struct {
		name         string
		plan, figure int
		want         int
		err          error
	}{
		{"neither", 0, 0, 600, nil},
		{"a figure", 0, 7, 7, nil},
		{"a plan", 7, 0, 7, nil},
		{"a lower figure", 7, 6, 6, nil},
		{"a lower plan", 7, 8, 7, nil},
		{"the same", 7, 7, 7, nil},
		{"the greatest plan", keys.MaxRateLimit, 0, keys.MaxRateLimit, nil},
		{"a plan below zero", -1, 0, 0, keys.ErrUnavailable},
		{"a plan beyond the bound", keys.MaxRateLimit + 1, 0, 0, keys.ErrUnavailable},
		{"no answer", 0, 7, 0, down},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := ""
			env := newEnv(t, &keys.Options{Plan: func(_ context.Context, org string) (int, error) {
				if asked = org; tt.err == down {
					return -7, down
				}
				return tt.plan, nil
			}})
			key := env.create(keys.Spec{RateLimit: tt.figure})
			if key.Record.RateLimit != tt.figure {
				t.Errorf("the record has %d", key.Record.RateLimit)
			}
			client := createClient(t, env, keys.Spec{RateLimit: tt.figure})
			token, err := env.manager.IssueToken(t.Context(), client.Record, scopes.Set{}, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]keys.Secret{"key": key.Text, "token": token.Text} {
				p, err := env.verify(text.Reveal())
				if p.RateLimit != tt.want || !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
					t.Errorf("a %s has %d, %v; want %d", name, p.RateLimit, err, tt.want)
				}
				if err != nil && !errors.Is(err, keys.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			}
			shown, err := env.manager.RateLimit(t.Context(), key.Record)
			if shown != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("shown is %d, %v", shown, err)
			}
			if asked != "acme" {
				t.Errorf("the plan of %q was asked for", asked)
			}
		})
	}
}

// TestPlansOfActors makes credentials on behalf of callers under plans.
func TestPlansOfActors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                string
		plan, caller, asked int
		want                int // in the record
		err                 error
	}{
		{"a caller with all of the plan", 50, 0, 0, 0, nil},
		{"a caller with more", 50, 60, 0, 0, nil},
		{"a caller with less", 50, 40, 0, 40, nil},
		{"as much as the plan", 50, 0, 50, 50, nil},
		{"more than the plan, which changes nothing", 50, 0, 51, 51, nil},
		{"more than the caller", 50, 40, 41, 0, keys.ErrBeyond},
		{"no plan, and no figure", 0, 0, 0, 0, nil},
		{"no plan, and a low figure", 0, 40, 0, 40, nil},
	} {
		env := newEnv(t, &keys.Options{Plan: func(context.Context, string) (int, error) { return tt.plan, nil }})
		spec := keys.Spec{RateLimit: tt.caller}
		issued, err := env.manager.As(caller(t, env, spec)).Create(t.Context(), keys.Spec{RateLimit: tt.asked})
		if issued.Record.RateLimit != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %d, %v; want %d", tt.name, issued.Record.RateLimit, err, tt.want)
		}
	}
	down := errors.New("billing is down")
	calls := 0
	env := newEnv(t, &keys.Options{Plan: func(context.Context, string) (int, error) {
		if calls++; calls == 3 {
			return 0, down
		}
		return 50, nil
	}})
	p := caller(t, env, keys.Spec{}) // the first call; Create makes the second for the caller, and the third for the new key
	if _, err := env.manager.As(p).Create(t.Context(), keys.Spec{}); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, down) {
		t.Errorf("a plan that cannot be told: %v", err)
	}
	calls = 2
	if _, err := env.manager.Recheck(t.Context(), p); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Recheck: %v", err)
	}
}
