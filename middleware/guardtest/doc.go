// Package guardtest helps to test services that are protected by a [middleware.Guard],
// and adapters that put one into a framework.
//
// # For services
//
// [New] makes all that a service needs, in memory: a manager of keys, a limiter and
// a guard, over a store that can be made to fail.
//
//	host := guardtest.New(t, &keys.Options{Catalog: myCatalog}, nil)
//	srv := httptest.NewServer(myService(host.Guard))
//	key := host.Key("acme", "orders:read")
//
//	host.Faults.Fail(storetest.Get, storetest.Always, errors.New("down")) // the database is down
//	host.Faults.Fail(storetest.Get, 1, errors.New("down"))                // for one call
//	host.Faults.Heal()                                                    // it is back
//	release := host.Faults.Block(storetest.Get)                           // it hangs until release is called
//	host.Faults.Lose(storetest.Update, 1, errors.New("reset"))            // it writes, and the answer is lost
//	n := host.Faults.Calls(storetest.Get)                                 // how often it was asked
//
// # For adapters
//
// [Test] checks that a guard in a framework does what it does in net/http. A request
// goes through credential, network, limit and scope in this order. A refused request
// never reaches the handler. Answers have the right status, challenge and fields. The
// handler finds the principal in its context. All of this holds for handlers that
// panic, for streams, and for clients that hang up. The adapter's test passes a function
// that starts a server:
//
//	func TestAdapter(t *testing.T) {
//		guardtest.Test(t, func(t testing.TB, routes []guardtest.Route) guardtest.Client {
//			mux := myframework.New()
//			for _, r := range routes {
//				mux.Get("/"+r.Name, adapter(r.Middleware()...), handler(r))
//			}
//			return guardtest.Serve(t, mux, false)
//		}, nil)
//	}
//
// The package imports package testing. It is for tests only.
//
// The services in examples/frameworks/chi and its neighbours are tested with it.
package guardtest
