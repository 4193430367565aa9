package benchmarks_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A floorServer exchanges client credentials for tokens. It does what an
// exchange cannot do without: it reads the form and the credentials, hashes and
// compares the secret, draws an ID and a secret for the token, keeps the digest,
// and answers with JSON.
//
// What it leaves out of what Claviger does: bodies in JSON and credentials in the
// body; parameters that are there twice; other media types, charsets and
// encodings; scopes that a client may not have; the limit on failures, by client
// and address, and the one on live tokens; revoked and expired clients, and
// their rotation; a list of a client's tokens; sweeping; and answers that say
// what was wrong. The lean form does not unescape either.
type floorServer struct {
	clients map[string][sha256.Size]byte

	mu     sync.Mutex
	tokens map[[12]byte]floorToken
}

// A floorToken is what is kept of a token.
type floorToken struct {
	digest  [sha256.Size]byte
	client  string
	scope   string
	expires int64
}

func newFloorServer() (s *floorServer, id, secret string) {
	id, secret = "cc_0123456789abcdef", clientSecret()
	return &floorServer{
		clients: map[string][sha256.Size]byte{id: sha256.Sum256([]byte(secret))},
		tokens:  make(map[[12]byte]floorToken),
	}, id, secret
}

func (s *floorServer) good(id string, sum [sha256.Size]byte) bool {
	digest, found := s.clients[id]
	return subtle.ConstantTimeCompare(sum[:], digest[:]) == 1 && found
}

// issue makes a token and writes its text into dst.
func (s *floorServer) issue(dst []byte, client, scope string) []byte {
	var random [44]byte // 12 of the ID, 32 of the secret
	rand.Read(random[:])
	dst = append(dst, "oauth_"...)
	dst = hex.AppendEncode(dst, random[:])
	t := floorToken{sha256.Sum256(dst[len(dst)-64:]), client, scope, time.Now().Add(time.Hour).UnixMilli()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[[12]byte(random[:12])] = t
	return dst
}

// knows reports whether a token was issued.
func (s *floorServer) knows(token string) bool {
	id, err := hex.DecodeString(token[len("oauth_"):][:24])
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[[12]byte(id)].digest == sha256.Sum256([]byte(token[len(token)-64:]))
}

// lean is the handler that reads and writes by hand.
func (s *floorServer) lean(w http.ResponseWriter, r *http.Request) {
	encoded, basic := strings.CutPrefix(r.Header.Get("Authorization"), "Basic ")
	if r.Method != "POST" || r.Header.Get("Content-Type") != formType || !basic {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var pair [256]byte
	if base64.StdEncoding.DecodedLen(len(encoded)) > len(pair) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	n, err := base64.StdEncoding.Decode(pair[:], []byte(encoded))
	id, secret, colon := bytes.Cut(pair[:n], []byte(":"))
	if err != nil || !colon || !s.good(string(id), sha256.Sum256(secret)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body := make([]byte, 512)
	n = 0
	for n < len(body) {
		m, err := r.Body.Read(body[n:])
		if n += m; err != nil {
			break
		}
	}
	var grant, scope []byte
	for rest := body[:n]; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte("&"))
		switch name, value, _ := bytes.Cut(pair, []byte("=")); string(name) {
		case "grant_type":
			grant = value
		case "scope":
			scope = value
		}
	}
	if string(grant) != "client_credentials" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	granted := string(scope)
	answer := append(make([]byte, 0, 256), `{"access_token":"`...)
	answer = s.issue(answer, string(id), granted)
	answer = append(answer, `","token_type":"bearer","expires_in":3600,"scope":"`...)
	answer = append(append(answer, granted...), '"', '}')
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonValue, noStoreValue
	w.Write(answer)
}

var jsonValue, noStoreValue = []string{"application/json"}, []string{"no-store"}

// plain is the handler that has the standard library do it.
func (s *floorServer) plain(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if r.Method != "POST" || !basic || r.ParseForm() != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	if err1 != nil || err2 != nil || !s.good(id, sha256.Sum256([]byte(secret))) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	scope := r.PostForm.Get("scope")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
	}{string(s.issue(nil, id, scope)), "bearer", 3600, scope})
}
