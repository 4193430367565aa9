// Package guardtest is for tests: of services that are protected by a
// [middleware.Guard], and of the adapters that put one into a framework.
//
// # For services
//
// [New] makes all that a service needs, in memory: a manager of keys, a limiter and
// a guard, over a store that fails when a test wants it to.
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
// [Test] checks that a guard in a framework does what it does in net/http: that a
// request goes through credential, network, limit and scope in this order; that what
// is refused never reaches the handler; that answers have their status, challenge
// and fields; that the handler finds the principal in its context; and that all of
// this holds for handlers that panic, for streams and for clients that hang up. The
// adapter's test says how a server is started:
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
package guardtest
