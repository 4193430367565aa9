package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/claviger-auth/claviger/keys"
)

// An organization has no record: it is there as soon as it has a credential.
var orgsCommand = command{
	name: "orgs", brief: "list organizations, make the first key of one, pause or end all that one has",
	verbs: []command{
		{
			name: "create", args: "NAME", brief: "make the first key of an organization, which holds every scope",
			setup: func(fs *flag.FlagSet) action {
				label := fs.String("label", "bootstrap", "`text` for people")
				environment := fs.String("environment", "", "`name` of the environment (default the host's first)")
				return func(ctx context.Context, s *session, args []string) error {
					return s.createOrg(ctx, args[0], *label, *environment)
				}
			},
		},
		{
			name: "list", brief: "list the names of all organizations",
			setup: func(fs *flag.FlagSet) action {
				after := fs.String("after", "", "begin after this `name`")
				return func(ctx context.Context, s *session, _ []string) error { return s.listOrgs(ctx, *after) }
			},
		},
		{
			name: "show", args: "NAME", brief: "show what an organization has",
			setup: func(*flag.FlagSet) action {
				return func(ctx context.Context, s *session, args []string) error {
					if err := s.open(ctx); err != nil {
						return err
					}
					return s.stats(ctx, args[0])
				}
			},
		},
		disableOrgCommand(true, "pause", "pause all keys and clients of an organization"),
		disableOrgCommand(false, "resume", "let all that is paused of an organization go on"),
		{
			name: "revoke", args: "NAME", brief: "end all keys and clients of an organization",
			setup: func(*flag.FlagSet) action {
				return func(ctx context.Context, s *session, args []string) error { return s.revokeOrg(ctx, args[0]) }
			},
		},
	},
}

func (s *session) createOrg(ctx context.Context, org, label, environment string) error {
	if err := s.openToPrintSecret(ctx, "create"); err != nil {
		return err
	}
	for _, kind := range [...]keys.Kind{keys.KindKey, keys.KindClient} {
		switch n, err := s.manager.Count(ctx, org, kind, 1); {
		case err != nil:
			return err
		case n > 0:
			return fmt.Errorf("%s has credentials already; claviger keys create makes more", plain(org))
		}
	}
	issued, err := s.manager.Create(ctx, org, keys.Spec{
		Label: label, Environment: environment, Scopes: s.manager.Catalog().Grantable().Names(), CreatedBy: s.actor(),
	})
	if err != nil {
		return explained(err)
	}
	return s.printSecret(issued, "with every scope, made by "+s.actor())
}

func (s *session) listOrgs(ctx context.Context, after string) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	for org, err := range s.manager.Orgs(ctx, after) {
		if err != nil {
			return err
		}
		if s.json {
			err = s.printJSON(struct {
				Org string `json:"org"`
			}{org})
		} else {
			_, err = fmt.Fprintln(s.stdout, plain(org))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) revokeOrg(ctx context.Context, org string) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.needOrg(ctx, org); err != nil {
		return err
	}
	if err := s.confirm(ctx, fmt.Sprintf("End all keys and clients of %s?", org)); err != nil {
		return err
	}
	n, err := s.manager.RevokeAll(ctx, org)
	if err != nil && n == 0 {
		return explained(err)
	}
	return errors.Join(s.printRevoked(org, "", n), explained(err))
}

// errNoOrg reports an organization without a record.
var errNoOrg = fmt.Errorf("%w: no organization of that name has any", keys.ErrNotFound)

// needOrg returns nil if an organization has a record of any kind, and errNoOrg if it
// has none.
func (s *session) needOrg(ctx context.Context, org string) error {
	for _, kind := range [...]keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
		for _, err := range s.manager.List(ctx, keys.Query{Org: org, Kind: kind, Limit: 1}) {
			return err
		}
	}
	return errNoOrg
}
