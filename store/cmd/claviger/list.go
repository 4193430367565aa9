package main

import (
	"context"
	"flag"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// listSize is how many records are asked for at once, and their last uses.
const listSize = 200

// listCommand lists the credentials of a kind that an organization has.
func listCommand(kind keys.Kind) command {
	return command{
		name: "list", brief: "list the " + string(kind) + "s of an organization",
		setup: func(fs *flag.FlagSet) action {
			q := keys.Query{Kind: kind}
			fs.StringVar(&q.Org, "org", "", "`name` of the organization; needed")
			fs.StringVar(&q.After, "after", "", "begin after this `ID`")
			all := fs.Bool("all", false, "also those that are revoked")
			most := fs.Int("limit", 0, "`number` to list at most (default all)")
			return func(ctx context.Context, s *session, _ []string) error {
				switch {
				case q.Org == "":
					return usageError("-org is missing")
				case *most < 0:
					return usageError("-limit is negative")
				}
				if err := s.open(ctx); err != nil {
					return err
				}
				q.Live, q.Limit = !*all, listSize
				return s.list(ctx, q, *most)
			}
		},
	}
}

// list prints the records that q asks for, or the first of them.
func (s *session) list(ctx context.Context, q keys.Query, most int) error {
	print, end := s.lister()
	defer end()
	var page []keys.Record
	n := 0
	for rec, err := range s.manager.List(ctx, q) {
		if err != nil {
			return err
		}
		if page = append(page, rec); len(page) == listSize {
			if err := s.flush(ctx, page, print); err != nil {
				return err
			}
			page = page[:0]
		}
		if n++; n == most {
			break
		}
	}
	return s.flush(ctx, page, print)
}

// flush prints records with their last uses.
func (s *session) flush(ctx context.Context, page []keys.Record, print func(*view) error) error {
	if len(page) == 0 {
		return nil
	}
	views, err := s.views(ctx, page...)
	if err != nil {
		return err
	}
	for i := range views {
		if err := print(&views[i]); err != nil {
			return err
		}
	}
	return nil
}

// lister returns a function that prints a record, as a row or as JSON, and one
// that ends the list.
func (s *session) lister() (print func(*view) error, end func()) {
	if s.json {
		return func(v *view) error { return s.printJSON(*v) }, func() {}
	}
	t := newTable(s.stdout, "ID", "STATE", "LABEL", "SCOPES", "A MINUTE", "EXPIRES", "LAST USED", "MADE BY")
	return func(v *view) error {
		t.row(v.ID, state(&v.Record, time.Now()), v.Label, v.Scopes.String(), s.limit(&v.Record), instant(v.ExpiresAt), instant(v.lastUse), v.CreatedBy)
		return nil
	}, t.end
}
