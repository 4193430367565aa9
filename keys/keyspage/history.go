package keyspage

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	historyRows   = 50              // how many entries are shown
	historyDepth  = 5000            // how many entries of the organization are searched for them, the newest ones
	historyWindow = 1000            // how many entries are read at once
	historyTime   = 2 * time.Second // how long all of that may take
)

// A history is what the page about a credential shows of the trail.
type history struct {
	Failed bool // the trail could not be read; nothing else is set then
	Rows   []historyRow
	More   bool // there may be older entries, since as many were found as are shown
	Part   bool // there may be older entries, since only the newest ones were searched
}

// A historyRow is an entry as pages show it.
type historyRow struct {
	Time    moment
	What    string
	Fields  []string // the names of what changed
	Why     string   // why something was refused or taken back
	Before  link     // the key that this one replaces
	After   link     // its successor
	Who     link
	Address string
}

// history returns what the trail has about a credential, or nil if the manager keeps no
// trail. If the trail cannot be read, it logs the error, and the page is still shown.
func (h *Handler) history(r *http.Request, t texts, s *section, rec *keys.Record) *history {
	if !h.manager.KeepsTrail() {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), historyTime)
	defer cancel()
	entries, older, err := h.entriesAbout(ctx, rec)
	if err != nil {
		h.log(r, err)
		return &history{Failed: true}
	}
	more := len(entries) > historyRows || older && len(entries) == historyRows
	entries = entries[:min(len(entries), historyRows)]
	links, err := h.linksIn(ctx, rec.Org, entries)
	if err != nil {
		h.log(r, err)
		return &history{Failed: true}
	}
	list := &history{More: more, Part: older && !more}
	for i := range entries {
		list.Rows = append(list.Rows, t.historyRow(s, &entries[i], links))
	}
	return list
}

// entriesAbout returns the newest entries about a credential, the latest first, and
// whether there may be older ones. If the trail has several chains, an equal part of each
// one that is not empty is searched.
func (h *Handler) entriesAbout(ctx context.Context, rec *keys.Record) (found []keys.Entry, older bool, err error) {
	chains, err := h.manager.Chains(ctx, rec.Org)
	if err != nil {
		return nil, false, err
	}
	chains = slices.DeleteFunc(chains, func(c keys.Chain) bool { return c.Last.Seq <= c.Cut.Seq })
	for _, c := range chains {
		entries, more, err := h.entriesIn(ctx, c, rec, int64(max(1, historyDepth/len(chains))))
		if err != nil {
			return nil, false, err
		}
		found, older = merged(found, entries), older || more
	}
	return found, older, nil
}

// entriesIn is entriesAbout for one chain. It searches the last depth positions.
// Positions have no gaps, so a chain can be read in windows from its end.
func (h *Handler) entriesIn(ctx context.Context, c keys.Chain, rec *keys.Record, depth int64) (found []keys.Entry, older bool, err error) {
	end := c.Last.Seq
	least := max(c.Cut.Seq, end-depth)
	for end > least && len(found) < historyRows {
		after := max(end-historyWindow, least)
		var window []keys.Entry
		for e, err := range h.manager.Entries(ctx, rec.Org, c.Name, after) {
			if err != nil {
				return nil, false, err
			}
			if e.Seq <= end && e.Org == rec.Org && e.ID == rec.ID {
				window = append(window, e)
			}
			if e.Seq >= end {
				break
			}
		}
		slices.Reverse(window)
		found, end = append(found, window...), after
	}
	return found, end > c.Cut.Seq, nil
}

// merged merges the entries of two chains, the latest first. Entries of one chain stay
// in their order, even if clocks differed.
func merged(a, b []keys.Entry) []keys.Entry {
	if len(a) == 0 {
		return b
	}
	all := make([]keys.Entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		next := &a
		if a[0].Time.Before(b[0].Time) {
			next = &b
		}
		all, *next = append(all, (*next)[0]), (*next)[1:]
	}
	return append(append(all, a...), b...)
}

// linksIn returns links for the actors and the other keys in entries. A link to a
// credential of the organization has its label and its URL.
func (h *Handler) linksIn(ctx context.Context, org string, entries []keys.Entry) (map[string]link, error) {
	links := map[string]link{"": {}}
	for i := range entries {
		for _, id := range [...]string{entries[i].Actor, entries[i].Other} {
			if _, known := links[id]; known {
				continue
			}
			links[id] = link{Text: id}
			rec, err := h.manager.Get(ctx, org, "", id)
			switch {
			case err == nil:
				links[id] = h.link(id, map[string]string{id: rec.Label})
			case !isNotFound(err):
				return nil, err
			}
		}
	}
	return links, nil
}

// actions are the texts for actions, except for those with a text in section.
var actions = map[keys.Action]string{
	keys.ActionCreated: n("Made"), keys.ActionChanged: n("Changed"), keys.ActionPaused: n("Paused"),
	keys.ActionResumed: n("Resumed"), keys.ActionRotated: n("Rotated"),
}

// reasons say why something was refused or taken back.
var reasons = map[string]string{
	keys.ReasonMismatch:     n("Its secret was wrong."),
	keys.ReasonExpired:      n("It had expired."),
	keys.ReasonRevoked:      n("It had ended."),
	keys.ReasonPaused:       n("It was paused."),
	keys.ReasonNetwork:      n("The address was outside of its networks."),
	keys.ReasonLimit:        n("It was over its limit."),
	keys.ReasonScope:        n("It lacked a scope."),
	keys.ReasonBeyond:       n("The caller did not have all that it needed."),
	keys.ReasonCallerEnded:  n("The credential of the caller had ended."),
	keys.ReasonLimitReached: n("The organization had as many as it may have."),
	keys.ReasonTakenBack:    n("This took an earlier change back: whoever made it lost the right to it at that moment."),
}

// changes are the names of fields that can change.
var changes = map[string]string{
	"label": n("Name"), "scopes": n("Scopes"), "rate_limit": n("Limit"), "token_lifetime": n("Lifetime of tokens"),
	"networks": n("Networks"), "metadata": n("Metadata"), "replaced_by": n("Its successor"), "digest": n("Secret"),
	"previous": n("Old secret"), "expires_at": n("End"), "revoked_at": n("Revoked"), "disabled_at": n("Paused"),
}

// implied are the fields whose change goes without saying for an action.
var implied = map[keys.Action]string{
	keys.ActionPaused: "disabled_at", keys.ActionResumed: "disabled_at",
	keys.ActionRotated: "replaced_by digest previous", keys.ActionRevoked: "revoked_at",
}

// historyRow returns an entry as pages show it. Actions, reasons and fields without a
// text of the pages, as others may have written them into the database, are shown as they
// are.
func (t texts) historyRow(s *section, e *keys.Entry, links map[string]link) historyRow {
	row := historyRow{Time: t.moment(e.Time), What: string(e.Action), Why: e.Reason, Who: links[e.Actor], Address: e.AddressText()}
	switch {
	case e.Action == keys.ActionRevoked:
		row.What = t.T(s.Ended)
	case e.Action == keys.ActionRefused && e.Count == 1:
		row.What = t.T("Refused once")
	case e.Action == keys.ActionRefused:
		row.What = t.T("Refused %d times", e.Count)
	case actions[e.Action] != "":
		row.What = t.T(actions[e.Action])
	}
	if text := reasons[e.Reason]; text != "" {
		row.Why = t.T(text)
	}
	said := strings.Fields(implied[e.Action])
	for name := range strings.FieldsSeq(e.Fields) {
		if slices.Contains(said, name) {
			continue
		}
		if text := changes[name]; text != "" {
			name = t.T(text)
		}
		row.Fields = append(row.Fields, name)
	}
	if e.Action == keys.ActionCreated {
		row.Before = links[e.Other]
	} else {
		row.After = links[e.Other]
	}
	return row
}
