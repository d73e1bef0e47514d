package server

import (
	"cmp"
	"fmt"

	"github.com/totpd/totpd/daemon/internal/source"
	"github.com/totpd/totpd/daemon/wire"
)

// A person is not a uid. su and sudo run as root for whoever started them; and with subordinate uids (subuid(5))
// one user has thousands, none of which has a name.

// personMax is how many bytes of a name tell persons from each other.
const personMax = 300

// arrival is who a connection is counted for that has said nothing yet.
func arrival(p Peer) holder {
	if p.Root() {
		return holder{kind: newcomers, person: "root"}
	}
	return holder{kind: namelesses, person: "uids without a name", part: neighbours(p.UID)}
}

// neighbours are the uids that lie together. A user has subordinate ones by 65,536, so they come from one or two
// neighbourhoods, and nearly never from that of those with names.
func neighbours(uid uint32) string {
	first := uid &^ 0xffff
	return fmt.Sprintf("uids %d to %d", first, first|0xffff)
}

// userOf is the user who speaks for itself.
func userOf(p Peer) holder { return holder{kind: users, person: fmt.Sprintf("uid %d", p.UID)} }

// behind is the person for whom a caller that runs as root speaks, as that says: who comes from a remote host,
// and on this host the user who started su or sudo. Where neither is named, all are one person, in parts by
// their terminal session.
func behind(open *wire.Open, session func() string) holder {
	from := source.Of("", open.RHost, open.RUser)
	h := holder{kind: persons, person: from.Key(), part: open.User}
	switch {
	case !from.Local():
		h.part = open.RUser + "@" + open.User
	case from.User == "":
		h.part = cmp.Or(session(), open.User)
	}
	h.person, h.part = h.person[:min(len(h.person), personMax)], h.part[:min(len(h.part), personMax)]
	return h
}
