package storetest

import "fmt"

// A Method is one of the six methods of a store.
type Method uint8

// The methods of [keys.Store] and the one of [ratelimit.Store].
const (
	Insert Method = iota
	Get
	Update
	List
	Sweep
	Take

	methods // how many there are
)

// String returns the name of the method.
func (m Method) String() string {
	names := [methods]string{"Insert", "Get", "Update", "List", "Sweep", "Take"}
	if m >= methods {
		return fmt.Sprintf("Method(%d)", uint8(m))
	}
	return names[m]
}
