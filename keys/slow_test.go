package keys_test

import (
	"context"
	"errors"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// TestSlowHashesWaitForTheirTurn shows that a check of an imported digest ends
// with its context when others hold all the places.
func TestSlowHashesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "vck_a", mustDigest(t, argonKnown), keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	release := env.verifier.HoldSlowHashes()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := env.verifier.Verify(ctx, "vck_a.password1234567890"); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("while others hold the places: %v", err)
	}
	if _, err := env.verify(env.create(keys.Spec{}).Text.Reveal()); err != nil {
		t.Errorf("a fast hash has to wait too: %v", err)
	}
	release()
	if _, err := env.verify("vck_a.password1234567890"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
