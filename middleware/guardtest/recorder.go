package guardtest

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// A recorder is a test whose failure is recorded and not reported. Its clean-up
// functions are those of the test around it.
type recorder struct {
	testing.TB
	failed atomic.Bool
}

func (r *recorder) Failed() bool          { return r.failed.Load() }
func (r *recorder) Fail()                 { r.failed.Store(true) }
func (r *recorder) Error(...any)          { r.Fail() }
func (r *recorder) Errorf(string, ...any) { r.Fail() }
func (r *recorder) Fatal(...any)          { r.FailNow() }
func (r *recorder) Fatalf(string, ...any) { r.FailNow() }

// FailNow ends the goroutine, as that of a test does.
func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}
