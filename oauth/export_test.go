package oauth

import "net/http"

// Token, Revoke and Introspect are the endpoints without a mux.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request)      { h.token(w, r) }
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request)     { h.revoke(w, r) }
func (h *Handler) Introspect(w http.ResponseWriter, r *http.Request) { h.introspect(w, r) }

// Attempts returns for how many buckets attempts run or wait.
func (h *Handler) Attempts() (n int) {
	for i := range h.throttle.attempts {
		n += len(h.throttle.attempts[i].queues)
	}
	return n
}

// ReadForm and ReadJSON read a body, and return the values of the parameters in
// it by name. They report whether the body is a good one.
func ReadForm(body string) (values map[string]string, ok bool) {
	var p params
	ok = p.readForm(body)
	return p.byName(), ok
}

func ReadJSON(body string) (values map[string]string, ok bool) {
	var p params
	err := p.readJSON(body)
	return p.byName(), err == nil
}

func ReadPlainJSON(body string) (values map[string]string, ok bool) {
	var p params
	ok = p.readPlainJSON(body)
	return p.byName(), ok
}

func (p *params) byName() map[string]string {
	values := make(map[string]string)
	for i, value := range p.values {
		if value != "" {
			values[paramNames[i]] = value
		}
	}
	return values
}
