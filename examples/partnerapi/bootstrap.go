package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// bootstrap makes a key that holds every scope, and prints it with lines to
// try, if org has no live key that may manage keys, or if force is set.
func (a *api) bootstrap(ctx context.Context, out io.Writer, org string, force bool) error {
	if !force {
		found, err := a.hasManager(ctx, org)
		if err != nil || found {
			return err
		}
	}
	issued, err := a.manager.Create(ctx, org, keys.Spec{
		Label:     "bootstrap",
		Scopes:    catalog.Grantable().Names(),
		CreatedBy: "host:bootstrap",
	})
	if err != nil {
		return err
	}
	return a.printKey(out, org, issued.Text.Reveal())
}

// hasManager reports whether org has a live key that may manage keys.
func (a *api) hasManager(ctx context.Context, org string) (bool, error) {
	for rec, err := range a.manager.List(ctx, keys.Query{Org: org, Kind: keys.KindKey, Live: true}) {
		if err != nil {
			return false, err
		}
		if !rec.Expired(time.Now()) && !rec.Disabled() && rec.Scopes.Contains(keysManage) {
			return true, nil
		}
	}
	return false, nil
}

// printKey prints a key, once, and what can be done with it.
func (a *api) printKey(out io.Writer, org, key string) error {
	_, err := fmt.Fprintf(out, `A key for the organization %[1]q that holds every scope. It is not shown again:

%[3]s

Who am I?
curl -s %[2]s/api/v1/partner/me -H 'Authorization: Bearer %[3]s'

Make a key, list the keys:
curl -s -X POST %[2]s/v1/keys -H 'Authorization: Bearer %[3]s' -H 'Content-Type: application/json' -d '{"label":"CI","scopes":["webhooks:manage"],"environment":"test"}'
curl -s %[2]s/v1/keys -H 'Authorization: Bearer %[3]s'

Subscribe to webhooks:
curl -s -X POST %[2]s/api/v1/partner/webhooks -H 'Authorization: Bearer %[3]s' -H 'Content-Type: application/json' -d '{"url":"https://example.com/hooks"}'

See and manage keys and clients in a browser, signed in with the key:
%[2]s/manage/

Make an OAuth client, whose clientId and clientSecret buy tokens at %[4]s/v1/oauth/token:
curl -s -X POST %[4]s/v1/oauth/clients -H 'Authorization: Bearer %[3]s'

`, org, a.base, key, a.issuer)
	return err
}
