package guardtest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/guardtest"
)

// A handler behind guards can take over the connection, as for WebSocket, and knows who
// it talks to. A request that is refused gets an answer, and what follows it on the
// connection is no part of it.
func TestHijack(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		p, _ := keys.FromContext(r.Context())
		line, _ := buf.ReadString('\n')
		_, _ = io.WriteString(conn, p.Org+" "+line)
	})
	srv := httptest.NewServer(host.Guard.Authenticated()(host.Guard.Authenticated()(h)))
	defer srv.Close()
	guardtest.TestHijack(t, host, srv.Listener.Addr())
}
