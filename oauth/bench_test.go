package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store"
)

// exchange is one request to the token endpoint that can be sent again and
// again: the least harness that a request needs.
type exchange struct {
	request *http.Request
	body    *strings.Reader
	text    string
	header  http.Header
	status  int
}

func (x *exchange) Header() http.Header         { return x.header }
func (x *exchange) Write(p []byte) (int, error) { return len(p), nil }
func (x *exchange) WriteHeader(status int)      { x.status = status }

func (x *exchange) send(tb testing.TB, h http.HandlerFunc, want int) {
	x.body.Reset(x.text)
	h(x, x.request)
	if x.status != want {
		tb.Fatalf("status %d", x.status)
	}
}

func newExchange(mediaType, body, authorization string) *exchange {
	x := &exchange{text: body, body: strings.NewReader(body), header: make(http.Header)}
	x.request = post(tokenPath, mediaType, "")
	x.request.Body = io.NopCloser(x.body)
	x.request.ContentLength = int64(len(body))
	if authorization != "" {
		x.request.Header.Set("Authorization", authorization)
	}
	return x
}

// exchanges are a handler over a Memory, the floor with the same client, and
// requests for both.
type exchanges struct {
	tb         testing.TB
	memory     *store.Memory
	server     *oauth.Server
	handler    *oauth.Handler
	floor      *floor
	id, secret string
	good, bad  map[string]*exchange // by form, by cause; and about a token
}

func (x *exchanges) exchange(y *exchange)   { y.send(x.tb, x.handler.Token, 200) }
func (x *exchanges) refuse(y *exchange)     { y.send(x.tb, x.handler.Token, 401) }
func (x *exchanges) introspect(y *exchange) { y.send(x.tb, x.handler.Introspect, 200) }
func (x *exchanges) revoke(y *exchange)     { y.send(x.tb, x.handler.Revoke, 200) }

// about returns a request about a token.
func (x *exchanges) about(token string) *exchange {
	return newExchange(formType, "token="+token, basic(x.id, x.secret))
}

// token returns a new token.
func (x *exchanges) token(tb testing.TB) string {
	tb.Helper()
	grant, err := x.server.Exchange(context.Background(), oauth.Request{
		GrantType: oauth.GrantType, ClientID: x.id, ClientSecret: keys.NewSecret(x.secret),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return grant.AccessToken.Reveal()
}

// sweep drops all tokens.
func (x *exchanges) sweep() {
	if _, err := x.memory.Sweep(context.Background(), time.Now().Add(24*time.Hour), 1<<30); err != nil {
		panic(err)
	}
}

func newExchanges(tb testing.TB) *exchanges {
	tb.Helper()
	memory := new(store.Memory)
	manager, err := keys.NewManager(memory, &keys.Options{Catalog: catalog})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := oauth.NewServer(manager, &oauth.Options{MaxTokens: 1 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	h, err := oauth.NewHandler(server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1_000_000_000, AddressFailures: 1_000_000_000})
	if err != nil {
		tb.Fatal(err)
	}
	issued, err := server.Register(context.Background(), caller, oauth.ClientSpec{})
	if err != nil {
		tb.Fatal(err)
	}
	id, secret := issued.Record.ID, issued.Text.Reveal()
	form := "grant_type=client_credentials&client_id=" + id + "&client_secret="
	good := map[string]*exchange{
		"form":  newExchange(formType, form+secret, ""),
		"basic": newExchange(formType, "grant_type=client_credentials", basic(id, secret)),
		"json":  newExchange(jsonType, fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, id, secret), ""),
	}
	bad := map[string]*exchange{
		"wrong_secret": newExchange(formType, form+strings.Repeat("0", 64), ""),
		"unknown":      newExchange(formType, strings.Replace(form, id, "cc_0000000000000000", 1)+secret, ""),
		"malformed":    newExchange(formType, form+"0", ""),
	}
	x := &exchanges{tb, memory, server, h, newFloor(id, secret, issued.Record.Scopes.String()), id, secret, good, bad}
	good["token"], bad["token"] = x.about(x.token(tb)), x.about("oauth_"+strings.Repeat("0", 24+64))
	return x
}

// batch is how many tokens a store holds at most while it is measured.
const batch = 5000

// measure sends one request over and over, and empties the store, with the clock
// stopped, after each batch.
func measure(b *testing.B, x *exchange, h http.HandlerFunc, want int, empty func()) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n == batch {
			b.StopTimer()
			empty()
			n = 0
			b.StartTimer()
		}
		x.send(b, h, want)
	}
	b.StopTimer()
	empty()
}

func BenchmarkExchange(b *testing.B) {
	x := newExchanges(b)
	b.Run("floor=form", func(b *testing.B) { measure(b, x.good["form"], x.floor.Token, 200, x.floor.empty) })
	for _, form := range []string{"form", "basic", "json"} {
		b.Run("request="+form, func(b *testing.B) { measure(b, x.good[form], x.handler.Token, 200, x.sweep) })
	}
	for _, cause := range []string{"malformed", "unknown", "wrong_secret"} {
		b.Run("refused="+cause, func(b *testing.B) { measure(b, x.bad[cause], x.handler.Token, 401, x.sweep) })
	}
}

// BenchmarkExchangeRatio measures exchanges and the floor in turns, so that both
// have the same share of what else the machine does, and reports the ratio of
// the medians. An operation is a whole turn.
func BenchmarkExchangeRatio(b *testing.B) {
	for _, form := range []string{"form", "basic", "json"} {
		b.Run("request="+form, func(b *testing.B) {
			x := newExchanges(b)
			var floors, ours []float64
			turn := func(y *exchange, h http.HandlerFunc) float64 {
				start := time.Now()
				for range batch {
					y.send(b, h, 200)
				}
				return float64(time.Since(start)) / batch
			}
			for b.Loop() {
				floors = append(floors, turn(x.good["form"], x.floor.Token))
				x.floor.empty()
				ours = append(ours, turn(x.good[form], x.handler.Token))
				x.sweep()
			}
			slices.Sort(floors)
			slices.Sort(ours)
			b.ReportMetric(floors[len(floors)/2], "floor-ns")
			b.ReportMetric(ours[len(ours)/2], "exchange-ns")
			b.ReportMetric(ours[len(ours)/2]/floors[len(floors)/2], "exchanges/floor")
		})
	}
}

// BenchmarkExchangeParallel has one client ask from all processors, behind the
// lock that counts its attempts. The store grows.
func BenchmarkExchangeParallel(b *testing.B) {
	x := newExchanges(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		y := newExchange(formType, x.good["form"].text, "")
		for pb.Next() {
			y.send(b, x.handler.Token, 200)
		}
	})
}
