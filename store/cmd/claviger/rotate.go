package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// rotateCommand gives a key a successor, or a client a new secret.
func rotateCommand(kind keys.Kind) command {
	return command{
		name: "rotate", args: "ID", page: byID, brief: "give a " + noun(kind) + " a new secret, and print that once",
		setup: func(fs *flag.FlagSet) action {
			overlap, life := lifetime(-1), positive(0)
			fs.Var(&overlap, "overlap", "`time` that the old secret stays good; 0 ends it at once (default for a key forever, until it is revoked; for a client 1d)")
			if kind != keys.KindClient {
				fs.Var(&life, "expires-in", "`time` from now until the new key ends (default as long as the old one had)")
			}
			return func(ctx context.Context, s *session, args []string) error {
				if err := s.openToPrintSecret(ctx, "rotate"); err != nil {
					return err
				}
				rec, err := s.record(ctx, kind, args[0])
				if err != nil {
					return err
				}
				return s.rotate(ctx, rec, time.Duration(overlap), time.Duration(life))
			}
		},
	}
}

// rotate rotates a key or a client. A negative overlap is the default one.
func (s *session) rotate(ctx context.Context, rec keys.Record, overlap, life time.Duration) error {
	var issued keys.Issued
	var err error
	var how string
	switch {
	case rec.Kind == keys.KindToken:
		return usageError("tokens are not rotated; their client gets new ones")
	case rec.Kind == keys.KindClient:
		if overlap < 0 {
			overlap = 24 * time.Hour
		}
		if life != 0 || overlap == keys.Forever {
			return usageError("a client has two secrets for a time only, and keeps its end: use -overlap with a time, and no -expires-in")
		}
		how = "with a new secret; the old one " + after(overlap, false)
		issued, err = s.manager.RotateSecret(ctx, rec.Org, rec.ID, overlap)
	default:
		if overlap < 0 {
			overlap = keys.Forever
		}
		how = "in place of " + rec.ID + ", which " + after(overlap, !rec.ExpiresAt.IsZero())
		issued, err = s.manager.Rotate(ctx, rec.Org, rec.ID, keys.Rotation{Overlap: overlap, Lifetime: life, CreatedBy: s.actor()})
	}
	if !settled(err) {
		return explained(err)
	}
	if err != nil {
		err = fmt.Errorf("%w; for some seconds, caches of other processes may not know it: do not rotate again", err)
	}
	return errors.Join(s.printSecret(issued, how), err)
}

// after says what becomes of the old key or secret after a rotation. If ends is true,
// it has an end of its own.
func after(overlap time.Duration, ends bool) string {
	switch {
	case overlap == 0:
		return "has ended"
	case overlap == keys.Forever && ends:
		return "stays good until it expires or is revoked"
	case overlap == keys.Forever:
		return "stays good until it is revoked"
	}
	return "stays good for " + durationText(overlap) + " at most"
}
