package storetest

import "fmt"

// A Method is one of the methods of a store: the six that every one has, and
// the three of optional interfaces.
type Method uint8

// The methods of [keys.Store], the one of [ratelimit.Store], and those of
// [keys.FamilyStore] and [keys.UseStore].
const (
	Insert Method = iota
	Get
	Update
	List
	Sweep
	Take
	GetFamily
	NoteUses
	LastUses

	methods // how many there are
)

// String returns the name of the method.
func (m Method) String() string {
	names := [methods]string{"Insert", "Get", "Update", "List", "Sweep", "Take", "GetFamily", "NoteUses", "LastUses"}
	if m >= methods {
		return fmt.Sprintf("Method(%d)", uint8(m))
	}
	return names[m]
}
