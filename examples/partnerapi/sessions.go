package main

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	sessionIdle = 30 * time.Minute // without a request, a session ends
	sessionLife = 12 * time.Hour   // and in any case
	maxSessions = 10_000
)

// sessions are kept in the memory of the process, and end with it. Each stands for the
// key with which somebody signed in, and is good as long as the key is.
type sessions struct {
	manager *keys.Manager

	mu   sync.Mutex
	byID map[string]*session
}

type session struct {
	principal        keys.Principal
	started, lastUse time.Time
}

func newSessions(m *keys.Manager) *sessions {
	return &sessions{manager: m, byID: make(map[string]*session)}
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.lastUse) > sessionIdle || now.Sub(s.started) > sessionLife
}

// start makes a session, and returns its ID. It reports false if there are too
// many.
func (s *sessions) start(p keys.Principal) (id string, ok bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= maxSessions {
		for id, session := range s.byID {
			if session.over(now) {
				delete(s.byID, id)
			}
		}
	}
	if len(s.byID) >= maxSessions {
		return "", false
	}
	id = rand.Text()
	s.byID[id] = &session{p, now, now}
	return id, true
}

// VerifyAt makes sessions a [middleware.Verifier]: text is the ID of a session. The
// key is checked each time, so that revoking or pausing it ends its sessions.
func (s *sessions) VerifyAt(ctx context.Context, text string, now time.Time) (keys.Principal, error) {
	s.mu.Lock()
	found, ok := s.byID[text]
	if ok && found.over(now) {
		delete(s.byID, text)
		ok = false
	}
	var p keys.Principal
	if ok {
		p, found.lastUse = found.principal, now
	}
	s.mu.Unlock()
	if !ok {
		return keys.Principal{}, keys.ErrUnknown
	}
	p, err := s.manager.Recheck(ctx, p)
	if errors.Is(err, keys.ErrCallerEnded) {
		s.end(text)
		err = keys.ErrUnknown
	}
	if err != nil {
		return keys.Principal{}, err
	}
	return p, nil
}

// end ends a session.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}
