package guardtest_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A service in a test: one line makes the manager, the limiter and the guard, and one
// more makes a key. Faults says what goes wrong.
func ExampleNew() {
	var t testing.TB = new(testing.T) // that of the test

	host := guardtest.New(t, options, nil)
	service := orders(host.Guard)
	key := host.Key("acme", "orders:read")

	show := func(w *httptest.ResponseRecorder) { fmt.Println(w.Code, w.Body) }
	show(get(service, key))
	host.Faults.Fail(storetest.Get, 1, errors.New("the database is down"))
	show(get(service, key))
	// Output:
	// 200 orders of acme
	// 503 {"error":"temporarily_unavailable","error_description":"The request cannot be authorized at the moment. Try again."}
}
