package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"

	"github.com/claviger-auth/claviger/keys"
)

// changesAtOnce bounds how many changes run at the same time. Each waits until it
// counts everywhere, which may take more than a second.
const changesAtOnce = 16

// disableOrgCommand pauses all that an organization has, or lets it go on.
func disableOrgCommand(disabled bool, name, brief string) command {
	return command{
		name: name, args: "NAME", brief: brief,
		setup: func(*flag.FlagSet) action {
			return func(ctx context.Context, s *session, args []string) error {
				return s.disableOrg(ctx, args[0], name, disabled)
			}
		},
	}
}

// disableOrg pauses or resumes all that an organization has. It repeats until it finds
// nothing more to change: a key may have made another one just before it was paused.
func (s *session) disableOrg(ctx context.Context, org, verb string, disabled bool) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.needOrg(ctx, org); err != nil {
		return err
	}
	if err := s.confirm(ctx, fmt.Sprintf("%s all keys and clients of %s?", capital(verb), org)); err != nil {
		return err
	}
	p := s.startProgress()
	n := 0
	var err error
	for more := 1; more > 0 && err == nil; n += more {
		more, err = s.disableEach(ctx, org, disabled, func(done int) { p.report("%s %sd", count(n+done, "credential"), verb) })
	}
	p.end()
	return errors.Join(s.printDisabled(org, verb, n), explained(err))
}

// disableEach pauses or resumes each key and client that is not paused or resumed
// already, several at once, and returns how many it changed.
func (s *session) disableEach(ctx context.Context, org string, disabled bool, report func(done int)) (n int, err error) {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	turn := make(chan struct{}, changesAtOnce)
	for _, kind := range [...]keys.Kind{keys.KindKey, keys.KindClient} {
		for rec, err := range s.manager.List(ctx, keys.Query{Org: org, Kind: kind, Live: true, Limit: walkSize}) {
			if err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
				break
			}
			if rec.Disabled() == disabled {
				continue
			}
			turn <- struct{}{}
			wg.Go(func() {
				defer func() { <-turn }()
				_, err := s.manager.Change(ctx, org, rec.Kind, rec.ID, keys.Change{Disabled: &disabled})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, keys.ErrRevoked): // it was revoked meanwhile
				case err != nil:
					errs = append(errs, fmt.Errorf("%s: %w", rec.ID, err))
				default:
					n++
					report(n)
				}
			})
		}
	}
	wg.Wait()
	return n, errors.Join(errs...)
}

func (s *session) printDisabled(org, verb string, n int) error {
	if s.json {
		return s.printJSON(struct {
			Org     string `json:"org"`
			Changed int    `json:"changed"`
		}{org, n})
	}
	_, err := fmt.Fprintf(s.stdout, "%sd: %s of %s\n", verb, count(n, "credential"), plain(org))
	return err
}
