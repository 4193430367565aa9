package storetest

import "fmt"

// A Method is one of the methods of a store: the six that every store has, and those
// of optional interfaces.
type Method uint8

// The methods of [keys.Store], the one of [ratelimit.Store], and those of
// [keys.UseStore], [keys.CountStore], [keys.OrgStore], [keys.TrailStore] and, for
// [FeedFaults] alone, [keys.Feed].
const (
	Insert Method = iota
	Get
	Update
	List
	Sweep
	Take
	NoteUses
	LastUses
	Count
	Orgs
	AddEntry
	Chains
	Entries
	CutEntries
	Announce
	Withdraw
	MarkIdle
	Poll
	LongestLease

	methods // how many there are
)

// String returns the name of the method.
func (m Method) String() string {
	names := [methods]string{
		"Insert", "Get", "Update", "List", "Sweep", "Take", "NoteUses", "LastUses", "Count", "Orgs",
		"AddEntry", "Chains", "Entries", "CutEntries",
		"Announce", "Withdraw", "MarkIdle", "Poll", "LongestLease",
	}
	if m >= methods {
		return fmt.Sprintf("Method(%d)", uint8(m))
	}
	return names[m]
}
