package server

import (
	"cmp"

	"github.com/totpd/totpd/daemon/internal/share"
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
	return holder{kind: namelesses, person: "uids without a name", part: share.Neighbours(p.UID), detail: userOf(p).person}
}

// userOf is the user who speaks for itself.
func userOf(p Peer) holder { return holder{kind: users, person: share.User(p.UID)} }

// speakerOf is a user other than root who speaks for others. Of its share the logins as one user are a part.
func speakerOf(p Peer, open *wire.Open) holder {
	return holder{kind: speakers, person: "speaker " + share.User(p.UID), part: open.User[:min(len(open.User), personMax)]}
}

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
