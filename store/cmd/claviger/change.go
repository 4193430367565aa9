package main

import (
	"context"
	"errors"
	"flag"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// changeCommand changes what its flags name.
func changeCommand(kind keys.Kind) command {
	return command{
		name: "change", args: "ID", page: byID, brief: "change a " + noun(kind),
		setup: func(fs *flag.FlagSet) action {
			var names list
			var life positive
			label := fs.String("label", "", "`text` for people")
			fs.Var(&names, "scopes", "`names` of the scopes that it holds from now on, with commas between them")
			rate := fs.Int("rate-limit", 0, "`requests` a minute; 0 for what the host's plan gives")
			fs.Var(&life, "expires-in", "`time` from now until it ends, such as 90d, or forever")
			networks := fs.String("networks", "", "`networks` from which it may be used; empty for all")
			metadata := fs.String("metadata", "", "`text` of the host's own")
			return func(ctx context.Context, s *session, args []string) error {
				var c keys.Change
				var bad error
				fs.Visit(func(f *flag.Flag) {
					switch f.Name {
					case "label":
						c.Label = label
					case "scopes":
						c.Scopes = (*[]string)(&names)
					case "rate-limit":
						c.RateLimit = rate
					case "expires-in":
						c.Lifetime = (*time.Duration)(&life)
					case "networks":
						set, err := parseNetworks(*networks)
						c.Networks, bad = &set, err
					case "metadata":
						c.Metadata = metadata
					}
				})
				switch {
				case bad != nil:
					return bad
				case c == keys.Change{}:
					return usageError("no flag says what to change")
				}
				return s.change(ctx, kind, args[0], c)
			}
		},
	}
}

// pauseCommand pauses a credential until it is resumed.
func pauseCommand(kind keys.Kind) command {
	return disableCommand(kind, true, "pause", "pause a "+noun(kind)+" until it is resumed")
}

// resumeCommand lets a paused credential go on.
func resumeCommand(kind keys.Kind) command {
	return disableCommand(kind, false, "resume", "let a paused "+noun(kind)+" go on")
}

func disableCommand(kind keys.Kind, disabled bool, name, brief string) command {
	return command{
		name: name, args: "ID", page: byID, brief: brief,
		setup: func(*flag.FlagSet) action {
			return func(ctx context.Context, s *session, args []string) error {
				return s.change(ctx, kind, args[0], keys.Change{Disabled: &disabled})
			}
		},
	}
}

// change changes a credential, and prints it as it is after the change.
func (s *session) change(ctx context.Context, kind keys.Kind, id string, c keys.Change) error {
	open := s.open
	if c.Scopes != nil {
		open = func(ctx context.Context) error { return s.openAsHost(ctx, "a change of scopes") }
	}
	if err := open(ctx); err != nil {
		return err
	}
	rec, err := s.record(ctx, kind, id)
	if err != nil {
		return err
	}
	if rec.Kind == keys.KindToken {
		return usageError("tokens cannot be changed; change their client")
	}
	changed, err := s.manager.Change(ctx, rec.Org, rec.Kind, rec.ID, c)
	if !settled(err) {
		return explained(err)
	}
	return errors.Join(s.printRecord(ctx, changed), explained(err))
}
