package storetest

import (
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

var getClauses = []clause[keys.Store]{
	rule(hostileID,
		"Text that no record can have as its ID, such as text with NUL, invalid UTF-8, nothing or a megabyte, "+
			"is not found. It comes from whoever sends a request; a store that hands it to the driver "+
			"and fails makes a stranger's junk look like an outage.",
		getHostileID, notFound, roundTrip),
	rule(idBytes,
		"IDs are compared byte by byte: trailing spaces count, Unicode forms of one character differ, "+
			"digits are not numbers. It takes a binary collation and a column of text.",
		idsAreBytes, caseSensitive, textKept),
}

func getNotFound(p *probe, s keys.Store) {
	p.absent(s, p.clause+".nobody")
	p.absent(s, "vck_test_5TqW7jYbR2mNcK4x")
}

func getHostileID(p *probe, s keys.Store) {
	p.insert(s, p.full(keys.KindKey, "a"), p.full(keys.KindToken, "b"))
	for _, id := range p.junk() {
		p.absent(s, id)
	}
}

// junk returns IDs that no record has, and that most cannot have. Some are
// patterns that match p.clause followed by ".a".
func (p *probe) junk() []string {
	return []string{
		"", "\x00", p.clause + ".a\x00", "\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		strings.Repeat("x", 256), strings.Repeat("x", 1<<20),
		`' OR '1'='1`, `" OR ""="`, `%`, `_`, `*`, p.clause + `.%`, p.clause + `._`, p.clause + `.*`, p.clause + `.?`, p.clause + `.[a-z]`,
		"\n", p.clause + ".a\n", p.clause, p.clause + ".",
	}
}

func idsAreCaseSensitive(p *probe, s keys.Store) {
	var all []keys.Record
	for _, id := range []string{"vck_live_abcXYZ", "vck_live_ABCXYZ", "vck_live_abcxyz", "VCK_live_abcXYZ"} {
		r := p.full(keys.KindKey, id)
		r.ID = id
		all = append(all, r)
	}
	p.insert(s, all[0])
	for _, r := range all[1:] {
		p.absent(s, r.ID)
	}
	p.insert(s, all[1:]...)
	for _, r := range all {
		p.same(p.get(s, r.ID), r, "the record with ID "+quote(r.ID))
	}
}

func idsAreBytes(p *probe, s keys.Store) {
	var all []keys.Record
	for _, id := range []string{
		"a", "a ", "a  ", " a", "a\t", "\u00e9", "e\u0301", "e", "\u00c5", "\u212b", "A\u030a",
		"k", "\u212a", "i", "\u0130", "\u0131", "ss", "\u00df", "fi", "\ufb01", "\uff41", "a\u200d", "a\u00ad",
		"1", "01", "1.0", "1e0", "+1", "-", "", "--", "a-b", "ab", "a_b",
	} {
		r := p.full(keys.KindKey, id)
		r.ID = "x" + id
		all = append(all, r)
	}
	for _, id := range []string{"1", "01", "1.0", "1e0", "+1", "1 ", "0x1", "true", "null", "9007199254740993", "9007199254740992"} {
		r := p.full(keys.KindKey, id)
		r.ID = id
		all = append(all, r)
	}
	for _, r := range all {
		p.absent(s, r.ID)
		p.insert(s, r)
	}
	for _, r := range all {
		p.same(p.get(s, r.ID), r, "the record with ID "+quote(r.ID))
	}
}
