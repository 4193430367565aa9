package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// revokeCommand ends a credential, or it and all that was made by it.
func revokeCommand(kind keys.Kind) command {
	return command{
		name: "revoke", args: "ID", page: byID, brief: "end a " + noun(kind) + ", at once and forever",
		setup: func(fs *flag.FlagSet) action {
			descendants := fs.Bool("descendants", false, "also end what was made by it, and by that, and so on")
			return func(ctx context.Context, s *session, args []string) error {
				if err := s.open(ctx); err != nil {
					return err
				}
				rec, err := s.record(ctx, kind, args[0])
				if err != nil {
					return err
				}
				if *descendants {
					return s.revokeDescendants(ctx, rec)
				}
				if err := s.manager.Revoke(ctx, rec.Org, rec.Kind, rec.ID); err != nil {
					return explained(err)
				}
				return s.printRevoked(rec.Org, rec.ID, 1)
			}
		},
	}
}

func (s *session) revokeDescendants(ctx context.Context, rec keys.Record) error {
	if rec.Kind == keys.KindToken {
		return usageError("tokens make nothing; leave out -descendants")
	}
	if s.asks() {
		if err := s.showDescendants(ctx, rec); err != nil {
			return err
		}
	}
	if err := s.confirm(ctx, fmt.Sprintf("End %s of %s, and everything that was made by it?", rec.ID, rec.Org)); err != nil {
		return err
	}
	n, err := s.manager.RevokeDescendants(ctx, rec.Org, rec.Kind, rec.ID)
	if err != nil && n == 0 {
		return explained(err)
	}
	return errors.Join(s.printRevoked(rec.Org, rec.ID, n), explained(err))
}

// showDescendants lists on standard error what would end with a credential, if it
// ended now.
func (s *session) showDescendants(ctx context.Context, root keys.Record) error {
	made := make(map[string][]keys.Record) // by the ID of the maker
	for _, kind := range [...]keys.Kind{keys.KindKey, keys.KindClient} {
		for rec, err := range s.manager.List(ctx, keys.Query{Org: root.Org, Kind: kind, Limit: walkSize}) {
			if err != nil {
				return err
			}
			made[rec.CreatedBy] = append(made[rec.CreatedBy], rec)
		}
	}
	t := newTable(s.stderr)
	defer t.end()
	walked := make(map[string]bool) // since makers may stand in a circle
	for next := []keys.Record{root}; len(next) > 0; next = next[1:] {
		rec := next[0]
		if walked[rec.ID] {
			continue
		}
		walked[rec.ID] = true
		next = append(next, made[rec.ID]...)
		if !rec.Revoked() {
			t.row(rec.ID, state(&rec, time.Now()), rec.Label, "made by "+rec.CreatedBy)
		}
	}
	return nil
}

// printRevoked says what was ended. An empty ID stands for the organization.
func (s *session) printRevoked(org, id string, n int) error {
	if s.json {
		return s.printJSON(struct {
			Org     string `json:"org"`
			ID      string `json:"id,omitempty"`
			Revoked int    `json:"revoked"`
		}{org, id, n})
	}
	if id == "" || n != 1 {
		_, err := fmt.Fprintf(s.stdout, "revoked: %s of %s\n", count(n, "credential"), plain(org))
		return err
	}
	_, err := fmt.Fprintf(s.stdout, "revoked: %s of %s\n", id, plain(org))
	return err
}

// count returns a number with a noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}
