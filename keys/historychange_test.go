package keys_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// change makes one change on a node, and has the credential checked everywhere as
// soon as the call has returned.
func (h *history) change(c credential, n *node) {
	p, t := n.proc.Load(), trail{}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), trailKey{}, t), 30*time.Second)
	defer cancel()
	if err := p.change(ctx, c); err != nil || p.dead.Load() {
		return
	}
	h.everywhere(t)
	h.changes.Add(1)
	for _, n := range h.nodes {
		for range 2 {
			h.work.Go(func() {
				n.checkOne(c)
				time.Sleep(n.upTo(n.span / 2)) // on the test's own clock
				n.checkOne(c)
			})
		}
	}
}

var errNothing = errors.New("there is nothing to change")

// change makes a change to a credential, or to its client.
func (p *process) change(ctx context.Context, c credential) error {
	p.world.mu.Lock()
	r, missing := p.later[c.id]
	delete(p.later, c.id)
	p.world.mu.Unlock()
	if missing {
		return p.Insert(ctx, r)
	}
	id, m := c.id, p.manager
	if c.parent != "" && p.roll(3) > 0 {
		id = c.parent
	}
	switch p.roll(14) {
	case 0:
		return m.Revoke(ctx, "acme", "", id)
	case 1:
		// Two at once: one of them finds the credential revoked.
		p.work.Go(func() {
			t := trail{}
			if m.Revoke(context.WithValue(context.Background(), trailKey{}, t), "acme", "", id) == nil {
				p.everywhere(t)
			}
		})
		time.Sleep(p.upTo(4 * p.delay)) // on the test's own clock
		return m.Revoke(ctx, "acme", "", id)
	case 2:
		if _, err := m.Sweep(ctx, time.Now()); err != nil {
			return err
		}
		return p.renew(ctx, c)
	case 3, 4:
		return p.inTransaction(ctx, func(ctx context.Context) error { return p.pause(ctx, id) })
	case 5:
		if p.roll(3) == 0 {
			_, err := m.RevokeAll(ctx, "acme")
			return err
		}
	case 6:
		if c.parent == "" {
			_, err := m.Rotate(ctx, "acme", c.id, keys.Rotation{})
			return err
		}
	}
	return p.pause(ctx, id)
}

// pause pauses a credential, or ends its pause.
func (p *process) pause(ctx context.Context, id string) error {
	_, err := p.manager.Change(ctx, "acme", "", id, keys.Change{Disabled: new(p.roll(2) == 0)})
	return err
}

// renew puts a token into the store whose record was swept, under the same ID.
func (p *process) renew(ctx context.Context, c credential) error {
	if r, is := p.tokens[c.id]; is {
		if err := p.Insert(ctx, r); err != nil {
			return err
		}
	}
	return errNothing // others may see the old token for a while
}

// inTransaction makes a change in a transaction of the host's, and settles it.
func (p *process) inTransaction(ctx context.Context, do func(ctx context.Context) error) error {
	tx := new(transaction)
	tx.seq, tx.epoch = p.start()
	if err := do(context.WithValue(ctx, transactionKey{}, tx)); err != nil {
		return err
	}
	time.Sleep(p.upTo(p.span)) // on the test's own clock
	for _, r := range tx.writes {
		if err := p.commit(ctx, r, tx.seq, tx.epoch); err != nil {
			return err
		}
	}
	return p.manager.Settle(ctx)
}

// disturb makes trouble at the worst of times: when the server has carried out a
// call of p. It returns by how much the answer may be late.
func (h *history) disturb(op, id string, p *process) (late time.Duration) {
	if h.calm.Load() || h.resting() {
		return 0
	}
	if h.roll(12) == 0 {
		late = 2 * h.span
	}
	other := h.nodes[h.roll(len(h.nodes))]
	switch {
	case h.plot == idle && op != "mark":
	case op == "get" && h.roll(6) == 0:
		// What was read is changed before the answer is there.
		if i := slices.IndexFunc(h.creds, func(c credential) bool { return c.id == id }); i >= 0 {
			h.meanwhile(p, other, h.creds[i])
			late = 2 * h.span
		}
	case op == "mark" && h.roll(2) == 0:
		for _, n := range h.nodes {
			if n != p.node {
				n.sever(h.upTo(h.span))
			}
		}
		h.meanwhile(p, p.node, h.some())
	case h.plot == cold && (op == "lease" || op == "update") && h.roll(2) == 0:
		h.spawn(func() { other.proc.Load().run() })
	case (op == "announce" || op == "withdraw") && h.roll(2) == 0:
		h.meanwhile(p, other, h.some())
	case h.roll(40) == 0:
		h.isolate()
		h.meanwhile(p, other, h.some())
	}
	return late
}

// meanwhile makes a change on a node while p waits for an answer.
func (h *history) meanwhile(p *process, n *node, c credential) {
	h.spawn(func() {
		if h.plot != restarts {
			time.Sleep(h.upTo(h.span / 8)) // on the test's own clock
			h.change(c, n)
			return
		}
		p.close()
		h.change(c, n)
		p.run()
		for range 4 {
			time.Sleep(n.upTo(4 * p.delay)) // on the test's own clock
			p.checkOne(c)
		}
	})
}
