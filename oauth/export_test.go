package oauth

import "net/http"

// AddressName is for the test that compares it with the long way.
var AddressName = addressName

// ReadForm and ReadJSON read a body, and return the values of the parameters in
// it by name. They report whether the body is a good one.
func ReadForm(body string) (values map[string]string, ok bool) {
	var p params
	ok = p.readForm(body)
	return p.byName(), ok
}

func ReadJSON(body string) (values map[string]string, ok bool) {
	var p params
	err := p.readJSON(&http.Request{}, body)
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
