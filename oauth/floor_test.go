package oauth_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A floor is the least that a token endpoint can be: written by hand for one
// kind of request, without limits, without reports, and with next to no checks.
// What it does cannot be left out. [BenchmarkExchange] measures the package
// against it in one run.
type floor struct {
	mu      sync.Mutex
	clients map[string]floorClient
	tokens  map[[sha256.Size]byte]floorToken
}

type floorClient struct {
	id     string
	digest [sha256.Size]byte
	scope  string
}

type floorToken struct {
	client string
	scope  string
	end    int64
}

func newFloor(id, secret, scope string) *floor {
	return &floor{
		clients: map[string]floorClient{id: {id, sha256.Sum256([]byte(secret)), scope}},
		tokens:  make(map[[sha256.Size]byte]floorToken),
	}
}

// empty forgets the tokens, and keeps the memory for the next ones.
func (f *floor) empty() { clear(f.tokens) }

func (f *floor) Token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != formType || r.ContentLength < 0 || r.ContentLength > 4096 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	form := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, form); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var grant, id, secret, pair []byte
	for rest := form; len(rest) > 0; {
		pair, rest, _ = bytes.Cut(rest, []byte("&"))
		switch name, value, _ := bytes.Cut(pair, []byte("=")); string(name) {
		case "grant_type":
			grant = value
		case "client_id":
			id = value
		case "client_secret":
			secret = value
		}
	}
	f.mu.Lock()
	client, ok := f.clients[string(id)]
	f.mu.Unlock()
	digest := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(digest[:], client.digest[:]) != 1 || !ok || string(grant) != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var random [32]byte
	rand.Read(random[:])
	var text [64]byte
	hex.Encode(text[:], random[:])
	digest = sha256.Sum256(text[:])
	f.mu.Lock()
	f.tokens[digest] = floorToken{client.id, client.scope, time.Now().Add(time.Hour).Unix()}
	f.mu.Unlock()

	body := make([]byte, 0, 192)
	body = append(body, `{"access_token":"`...)
	body = append(body, text[:]...)
	body = append(body, `","token_type":"bearer","expires_in":`...)
	body = strconv.AppendInt(body, 3600, 10)
	body = append(body, `,"scope":"`...)
	body = append(body, client.scope...)
	body = append(body, '"', '}', '\n')
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}
