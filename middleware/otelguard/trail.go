package otelguard

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// trail measures a [keys.TrailStore].
type trail struct {
	store keys.TrailStore
	t     *Telemetry
}

func (s trail) AddEntry(ctx context.Context, e keys.Entry) error {
	began := time.Now()
	err := s.store.AddEntry(ctx, e)
	s.t.called(ctx, "add_entry", began, err)
	return err
}

func (s trail) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	began := time.Now()
	chains, err := s.store.Chains(ctx, org)
	s.t.called(ctx, "chains", began, err)
	return chains, err
}

func (s trail) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	began := time.Now()
	page, err := s.store.Entries(ctx, org, chain, after, limit)
	s.t.called(ctx, "entries", began, err)
	return page, err
}

func (s trail) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	began := time.Now()
	err := s.store.CutEntries(ctx, org, chain, upTo)
	s.t.called(ctx, "cut_entries", began, err)
	return err
}
