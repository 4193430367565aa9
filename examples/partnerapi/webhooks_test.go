package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	creator := e.key(0, webhooksManage)
	const path = "/api/v1/partner/webhooks"
	created := e.do("POST", path, creator.Text.Reveal(), `{"url":"https://example.com/hooks","events":["lead.created","*"]}`)
	secret, _ := created.body["secret"].(string)
	id, _ := created.body["id"].(string)
	want := map[string]any{
		"id": id, "url": "https://example.com/hooks", "events": []any{"lead.created", "*"}, "active": true,
		"created_at": created.body["created_at"], "secret": secret,
	}
	if diff := cmp.Diff(want, created.body); created.status != 201 || diff != "" || !strings.HasPrefix(secret, "whsec_") || !strings.HasPrefix(id, "wh_") {
		t.Fatalf("%d %s\n%s", created.status, created.text, diff)
	}
	// The subscription outlives the key that made it.
	if err := e.api.manager.Revoke(context.Background(), "acme", keys.KindKey, creator.Record.ID); err != nil {
		t.Fatal(err)
	}
	list := e.do("GET", path, e.admin, "")
	delete(want, "secret")
	if diff := cmp.Diff(map[string]any{"webhooks": []any{want}}, list.body); diff != "" || strings.Contains(list.text, secret) {
		t.Errorf("%s\n%s", list.text, diff)
	}
	if got := e.do("GET", path, e.bootstrap("globex"), ""); got.text != `{"webhooks":[]}`+"\n" {
		t.Errorf("another organization: %s", got.text)
	}
	if got := e.do("DELETE", path+"/"+id, e.bootstrap("globex"), ""); got.status != 404 {
		t.Errorf("another organization: %d", got.status)
	}
	for range 2 {
		if got := e.do("DELETE", path+"/"+id, e.admin, ""); got.status != 204 {
			t.Errorf("delete: %d", got.status)
		}
	}
	if got := e.do("GET", path, e.admin, ""); got.text != `{"webhooks":[]}`+"\n" {
		t.Errorf("after that: %s", got.text)
	}
}

func TestWebhookURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"https://example.com/hooks": true, "https://hooks.example.co.uk:8443/a?b=c": true, "https://93.184.216.34/": true,
		"https://[2606:2800:220:1::1]/": true, "https://xn--bcher-kva.example/": true, "HTTPS://EXAMPLE.COM./": true,
		"": false, "example.com": false, "http://example.com/": false, "ftp://example.com/": false, "https://": false, "https:///x": false,
		"https://user:pass@example.com/": false, "https://example.com/#a": false, "https:example.com": false, "https://example.com:/": false,
		"https://localhost/": false, "https://a.localhost/": false, "https://db.internal/": false, "https://printer.local/": false, "https://intranet/": false,
		"https://127.0.0.1/": false, "https://127.1/": false, "https://2130706433/": false, "https://0x7f.0.0.1/": false, "https://0177.0.0.1/": false,
		"https://10.0.0.1/": false, "https://172.16.0.1/": false, "https://192.168.1.1/": false, "https://169.254.169.254/": false, "https://0.0.0.0/": false,
		"https://100.64.0.1/": false, "https://224.0.0.1/": false, "https://255.255.255.255/": false, "https://192.0.2.1/": false, "https://198.18.0.1/": false,
		"https://[::1]/": false, "https://[::]/": false, "https://[fe80::1]/": false, "https://[fd00::1]/": false, "https://[::ffff:10.0.0.1]/": false,
		"https://[64:ff9b::a00:1]/": false, "https://[2002:a00:1::]/": false, "https://[fe80::1%25eth0]/": false, "https://exa mple.com/": false,
		"https://[::127.0.0.1]/": false, "https://[100::1]/": false, "https://[fec0::1]/": false, "https://[3fff::1]/": false, "https://[5f00::1]/": false,
		"https://192.88.99.1/": false, "https://kubernetes.default.svc/": false, "https://example.com:0/": false, "https://example.com:65536/": false,
		"https://example.com/a b": false, "https://example.com/?a b": false, "https://example.com/ü": false, "https://example.com/<a>": false, "https://example.com/a%20b?%C3%BC": true,
		"https://example.com:65535/": true, "https://[2606:2800:220:1::1]:8443/": true, "https://[2606:2800:220:1::1]:/": false,
		"https://-a.example.com/": false, "https://a..example.com/": false, "https://" + strings.Repeat("a", 64) + ".com/": false,
		"https://example.com/" + strings.Repeat("a", 2048): false, "https://bücher.example/": false, "https://example.com\x00/": false,
	} {
		if got := publicURL(url); got != want {
			t.Errorf("%q: %v", url, got)
		}
	}
	e := newEnv(t)
	for body, want := range map[string]int{
		`{"url":"https://10.0.0.1/"}`: 422, `{}`: 422, `{"url":1}`: 400, `{"url":"https://example.com/","secret":"x"}`: 400,
		`{"url":"https://example.com/","events":[]}`: 422, `{"url":"https://example.com/","events":["A"]}`: 422, `[]`: 400, `{"url":"https://example.com/","url":"https://example.com/"}`: 400,
	} {
		if got := e.do("POST", "/api/v1/partner/webhooks", e.admin, body); got.status != want {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
}

func TestWebhooksAreBounded(t *testing.T) {
	t.Parallel()
	var ws webhooks
	for i := range maxWebhooks + 1 {
		if got := ws.add("acme", webhook{ID: fmt.Sprint(i), Active: true}); got != (i < maxWebhooks) {
			t.Fatalf("subscription %d: %v", i+1, got)
		}
	}
	if !ws.add("globex", webhook{ID: "x", Active: true}) {
		t.Error("another organization pays for it")
	}
}

// TestWebhooksAreBoundedTogether adds subscriptions from several goroutines.
func TestWebhooksAreBoundedTogether(t *testing.T) {
	t.Parallel()
	for range 5 {
		var ws webhooks
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range maxWebhooks {
					ws.add("acme", webhook{ID: fmt.Sprint(g, " ", i), Active: true})
				}
			})
		}
		wg.Wait()
		if n := len(ws.of("acme").active); n != maxWebhooks {
			t.Errorf("%d subscriptions, want %d", n, maxWebhooks)
		}
	}
}
