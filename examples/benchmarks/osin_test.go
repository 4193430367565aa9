package benchmarks_test

import (
	"net/http"
	"sync"

	"github.com/openshift/osin"
)

// osinStore is a store in memory for osin, which ships none but in an example
// that prints each call. Secrets and tokens are kept as they are, as there.
type osinStore struct {
	mu      sync.RWMutex
	clients map[string]osin.Client
	access  map[string]*osin.AccessData
}

func (s *osinStore) Clone() osin.Storage { return s }
func (s *osinStore) Close()              {}

func (s *osinStore) GetClient(id string) (osin.Client, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.clients[id]; ok {
		return c, nil
	}
	return nil, osin.ErrNotFound
}

func (s *osinStore) SaveAccess(d *osin.AccessData) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access[d.AccessToken] = d
	return nil
}

func (s *osinStore) LoadAccess(token string) (*osin.AccessData, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d, ok := s.access[token]; ok {
		return d, nil
	}
	return nil, osin.ErrNotFound
}

func (s *osinStore) RemoveAccess(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.access, token)
	return nil
}

// The grant for client credentials has no codes and no refresh tokens.
func (s *osinStore) SaveAuthorize(*osin.AuthorizeData) error { return osin.ErrNotFound }

func (s *osinStore) LoadAuthorize(string) (*osin.AuthorizeData, error) {
	return nil, osin.ErrNotFound
}
func (s *osinStore) RemoveAuthorize(string) error                 { return nil }
func (s *osinStore) LoadRefresh(string) (*osin.AccessData, error) { return nil, osin.ErrNotFound }
func (s *osinStore) RemoveRefresh(string) error                   { return nil }

// osinEndpoint is the token endpoint that osin's documentation shows.
func osinEndpoint() tokenEndpoint {
	id, secret := "client", clientSecret()
	db := &osinStore{
		clients: map[string]osin.Client{id: &osin.DefaultClient{Id: id, Secret: secret, RedirectUri: "https://app.example.com"}},
		access:  make(map[string]*osin.AccessData),
	}
	config := osin.NewServerConfig()
	config.AllowedAccessTypes = osin.AllowedAccessType{osin.CLIENT_CREDENTIALS}
	srv := osin.NewServer(config, db)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response := srv.NewResponse()
		defer response.Close()
		if request := srv.HandleAccessRequest(response, r); request != nil {
			request.Authorized = true
			srv.FinishAccessRequest(response, r, request)
		}
		_ = osin.OutputJSON(response, w, r)
	})
	return tokenEndpoint{handler: h, id: id, secret: secret, good: func(token string) bool {
		_, err := db.LoadAccess(token)
		return err == nil
	}}
}
