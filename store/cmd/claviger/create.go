package main

import (
	"context"
	"flag"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// createCommand makes keys or clients.
func createCommand(kind keys.Kind) command {
	return command{
		name: "create", brief: "make a " + string(kind) + ", and print its secret once",
		setup: func(fs *flag.FlagSet) action {
			spec := keys.Spec{Kind: kind}
			org := fs.String("org", "", "`name` of the organization; needed")
			fs.StringVar(&spec.Label, "label", "", "`text` for people")
			scopes := (*list)(&spec.Scopes)
			fs.Var(scopes, "scopes", "`names` of the scopes to grant, with commas between them")
			fs.IntVar(&spec.RateLimit, "rate-limit", 0, "`requests` a minute (default that of the host)")
			fs.StringVar(&spec.Environment, "environment", "", "`name` of the environment (default the host's first)")
			fs.Var((*positive)(&spec.Lifetime), "expires-in", "`time` from now until it ends, such as 90d (default forever)")
			networks := fs.String("networks", "", "`networks` from which it may be used, with commas between them (default all)")
			fs.StringVar(&spec.Metadata, "metadata", "", "`text` of the host's own; a JSON object if it uses package keyshttp")
			if kind == keys.KindClient {
				fs.Var((*positive)(&spec.TokenLifetime), "token-lifetime", "`time` that its tokens live (default the host's)")
			}
			return func(ctx context.Context, s *session, _ []string) (err error) {
				if *org == "" {
					return usageError("-org is missing")
				}
				if spec.TokenLifetime != keys.Forever && spec.TokenLifetime%time.Second != 0 {
					return usageError("-token-lifetime: want whole seconds, as token endpoints answer")
				}
				if spec.Networks, err = parseNetworks(*networks); err != nil {
					return err
				}
				if err := s.openToPrintSecret(ctx, "create"); err != nil {
					return err
				}
				spec.CreatedBy = s.actor()
				issued, err := s.manager.Create(ctx, *org, spec)
				if err != nil {
					return explained(err)
				}
				return s.printSecret(issued, "made by "+s.actor())
			}
		},
	}
}

// parseNetworks reads the value of the flag -networks.
func parseNetworks(text string) (keys.Networks, error) {
	var names list
	_ = names.Set(text)
	networks, err := keys.NetworksFromStrings(names...)
	if err != nil {
		return keys.Networks{}, usageError("-networks: %v", err)
	}
	return networks, nil
}

// printSecret prints a credential that was just made. Its secret goes to standard
// output, alone, for a file or a variable, and the rest to standard error. With -json
// all of it is one object. No other function prints secrets.
func (s *session) printSecret(issued keys.Issued, how string) error {
	// If the reader of the output has gone, the program must go on and say so: nobody
	// else knows that the credential is there.
	signal.Ignore(syscall.SIGPIPE)
	rec := issued.Record
	secret := issued.Text.Reveal()
	var err error
	if s.json {
		err = s.printJSON(view{Record: rec, secret: secret})
	} else {
		what := "The key is shown this once:"
		if rec.Kind == keys.KindClient {
			what = "Its secret is shown this once:"
		}
		fmt.Fprintf(s.stderr, "%s %s of %s, %s. %s\n", rec.Kind, rec.ID, plain(rec.Org), plain(how), what)
		_, err = fmt.Fprintln(s.stdout, secret)
	}
	if err != nil {
		return fmt.Errorf("the %s %s is good, but its secret could not be written: %w; revoke it, or rotate it again", rec.Kind, rec.ID, err)
	}
	return nil
}
