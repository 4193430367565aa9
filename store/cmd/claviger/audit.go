package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// maxCheckpoints bounds what is read of a file of checkpoints.
const maxCheckpoints = 64 << 20

var auditCommand = command{
	name: "audit", brief: "read the trail of who did what, and verify it",
	verbs: []command{
		{
			name: "list", args: "ORG", brief: "list the newest entries of an organization's trail",
			setup: func(fs *flag.FlagSet) action {
				id := fs.String("id", "", "only what is about the credential with this `ID`")
				most := fs.Int("limit", 50, "`number` of entries to list at most")
				return func(ctx context.Context, s *session, args []string) error {
					if *most < 1 {
						return usageError("-limit is less than 1")
					}
					return s.listEntries(ctx, args[0], *id, *most)
				}
			},
		},
		{
			name: "verify", args: "[ORG]", brief: "verify the trail of an organization, or of all, and print checkpoints",
			setup: func(fs *flag.FlagSet) action {
				kept := fs.String("checkpoints", "", "`file` with what an earlier verify -json printed")
				return func(ctx context.Context, s *session, args []string) error {
					org := ""
					if len(args) > 0 {
						org = args[0]
					}
					return s.verifyTrails(ctx, org, *kept)
				}
			},
		},
		{
			name: "cut", args: "ORG", brief: "remove the entries up to checkpoints, which are removed too",
			setup: func(fs *flag.FlagSet) action {
				kept := fs.String("checkpoints", "", "`file` with what an earlier verify -json printed; needed")
				return func(ctx context.Context, s *session, args []string) error {
					if *kept == "" {
						return usageError("-checkpoints is missing")
					}
					return s.cutTrail(ctx, args[0], *kept)
				}
			},
		},
	},
}

// listEntries prints the newest entries of an organization, the oldest of them first.
func (s *session) listEntries(ctx context.Context, org, id string, most int) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.refuseSecret(id); err != nil {
		return err
	}
	chains, err := s.manager.Chains(ctx, org)
	if err == nil && !slices.ContainsFunc(chains, func(c keys.Chain) bool { return c.Last.Seq > 0 }) {
		err = s.needOrg(ctx, org)
	}
	if err != nil {
		return err
	}
	var found []keys.Entry
	for _, c := range chains {
		after := int64(0)
		if id == "" { // of each chain, the last ones are enough
			after = max(c.Last.Seq-int64(most), 0)
		}
		for e, err := range s.manager.Entries(ctx, org, c.Name, after) {
			if err != nil {
				return err
			}
			if id == "" || e.ID == id || e.Other == id {
				found = append(found, e)
			}
			if len(found) > 4*most {
				found = newest(found, most)
			}
		}
	}
	return s.printEntries(newest(found, most))
}

// newest returns the newest entries by their times, the oldest of them first. Those
// of one chain stay in its order.
func newest(entries []keys.Entry, most int) []keys.Entry {
	slices.SortStableFunc(entries, func(a, b keys.Entry) int {
		if a.Chain == b.Chain {
			return cmp.Compare(a.Seq, b.Seq)
		}
		return a.Time.Compare(b.Time)
	})
	return slices.Clone(entries[max(len(entries)-most, 0):])
}

func (s *session) printEntries(entries []keys.Entry) error {
	if s.json {
		for _, e := range entries {
			if err := s.printJSON(e); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(s.stdout, "TIME", "ACTION", "ID", "BY", "FROM", "WHAT")
	for _, e := range entries {
		var what []string
		if e.Fields != "" {
			what = append(what, e.Fields)
		}
		if e.Other != "" {
			what = append(what, "with "+e.Other)
		}
		if e.Reason != "" {
			what = append(what, e.Reason)
		}
		if e.Count > 1 {
			what = append(what, strconv.FormatInt(e.Count, 10)+" times")
		}
		t.row(instant(e.Time), string(e.Action), e.ID, e.Actor, e.AddressText(), strings.Join(what, ", "))
	}
	t.end()
	return nil
}

// readCheckpoints reads a file of checkpoints; none if it has no name.
func readCheckpoints(file string) (kept []keys.Checkpoint, err error) {
	if file == "" {
		return nil, nil
	}
	text, err := readFile(file, maxCheckpoints)
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var c keys.Checkpoint
		err := dec.Decode(&c)
		switch {
		case err == io.EOF:
			return kept, nil
		case err != nil || c.Org == "" || c.Seq < 1:
			return nil, usageError("%s does not hold checkpoints, as audit verify -json prints them", file)
		}
		kept = append(kept, c)
	}
}

// verifyTrails verifies the trail of an organization, or of all if it has no name.
func (s *session) verifyTrails(ctx context.Context, org, file string) error {
	kept, err := readCheckpoints(file)
	if err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.verifyFrom(ctx, org, kept)
}

// verifyFrom is verifyTrails with checkpoints that were read, and the store open.
func (s *session) verifyFrom(ctx context.Context, org string, kept []keys.Checkpoint) (err error) {
	p := s.startProgress()
	defer p.end()
	v := &verdicts{s: s}
	if !s.json {
		v.table = newTable(s.stdout, "ORGANIZATION", "CHAIN", "ENTRIES", "HASH OF THE LAST", "STATE")
		defer func() {
			if !errors.Is(err, errNoOrg) {
				v.table.end()
			}
		}()
	}
	names := []string{org}
	if org == "" {
		if names, err = s.trailed(ctx, kept); err != nil {
			return err
		}
	}
	for i, name := range names {
		p.report("%s verified", count(i, "organization"))
		if err := v.verify(ctx, name, kept); err != nil {
			return err
		}
	}
	if v.wrong {
		return errSilentUnfit
	}
	return nil
}

// trailed returns the organizations that have a credential or a checkpoint: one whose
// records are all gone must not be passed over.
func (s *session) trailed(ctx context.Context, kept []keys.Checkpoint) (names []string, err error) {
	for _, c := range kept {
		names = append(names, c.Org)
	}
	for name, err := range s.manager.Orgs(ctx, "") {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// verdicts prints what becomes of each chain.
type verdicts struct {
	s     *session
	table *table // nil for JSON
	wrong bool
}

func (v *verdicts) verify(ctx context.Context, org string, kept []keys.Checkpoint) error {
	ends, err := v.s.manager.VerifyTrail(ctx, org, kept...)
	if err != nil && !errors.Is(err, keys.ErrTampered) {
		return err
	}
	if err == nil && ends == nil { // a name that was mistyped must not pass for a sound trail
		return v.s.needOrg(ctx, org)
	}
	for _, c := range ends {
		if v.table == nil {
			if err := v.s.printJSON(c); err != nil {
				return err
			}
			continue
		}
		v.table.row(c.Org, c.Chain, strconv.FormatInt(c.Seq, 10), c.Hash.String()[:16]+"…", "sound")
	}
	for _, t := range tampered(err) {
		v.wrong = true
		if v.table != nil {
			v.table.row(t.Org, t.Chain, "", "", "entry "+strconv.FormatInt(t.Seq, 10)+" "+t.Reason)
			continue
		}
		err := v.s.printJSON(struct {
			Org   string `json:"org"`
			Chain string `json:"chain,omitempty"`
			Wrong int64  `json:"wrong"`
			Why   string `json:"why"`
		}{t.Org, t.Chain, t.Seq, t.Reason})
		if err != nil {
			return err
		}
	}
	return nil
}

// tampered returns all errors of trails that an error wraps.
func tampered(err error) (all []*keys.TamperError) {
	switch err := err.(type) {
	case *keys.TamperError:
		return []*keys.TamperError{err}
	case interface{ Unwrap() []error }:
		for _, err := range err.Unwrap() {
			all = append(all, tampered(err)...)
		}
	}
	return all
}

// cutTrail removes entries up to the checkpoints of an organization.
func (s *session) cutTrail(ctx context.Context, org, file string) error {
	kept, err := readCheckpoints(file)
	if err != nil {
		return err
	}
	kept = slices.DeleteFunc(kept, func(c keys.Checkpoint) bool { return c.Org != org })
	if len(kept) == 0 {
		return usageError("%s has no checkpoint of that organization", file)
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.confirm(ctx, "Remove the entries of "+org+" up to its checkpoints in "+file+"?"); err != nil {
		return err
	}
	for _, c := range kept {
		if err := s.manager.CutTrail(ctx, c); err != nil {
			return err
		}
	}
	return s.verifyFrom(ctx, org, kept)
}
