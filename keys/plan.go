package keys

import (
	"context"
	"errors"
)

// limit returns how many requests a minute a credential may make, given the figure in
// its record.
func (s *settings) limit(ctx context.Context, org string, figure int) (int, error) {
	if s.plan != nil {
		plan, err := s.plan(ctx, org)
		if err == nil && (plan < 0 || plan > MaxRateLimit) {
			err = errPlan
		}
		if err != nil {
			return 0, unavailable(ctx, err)
		}
		figure = lower(figure, plan)
	}
	if figure == 0 {
		figure = s.rateLimit
	}
	return figure, nil
}

var errPlan = errors.New("keys: the plan of an organization is negative, or more than a billion")

// lower returns the lower of two figures. 0 stands for no figure.
func lower(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// figure returns the figure for the record of a new credential that asks for none. It
// returns 0, which stands for all that the plan gives, if the principal has all of
// that, and otherwise the principal's own limit. Without plans it is the default
// limit, or the principal's if that is lower.
func (m *Manager) figure(ctx context.Context, p *maker) (int, error) {
	switch {
	case p.RateLimit < 1:
		return 0, &BeyondError{FieldRateLimit}
	case m.plan == nil:
		return min(m.rateLimit, p.RateLimit), nil
	}
	plan, err := m.limit(ctx, p.Org, 0)
	if err != nil || plan <= p.RateLimit {
		return 0, err
	}
	return p.RateLimit, nil
}
