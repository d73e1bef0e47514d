package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity string

// The severities. A note asks for nothing.
const (
	Error   Severity = "error"   // logins fail, or a code isn't asked for where it should be, now or after the next restart
	Warning Severity = "warning" // it works, but not as it should, or not for long
	Note    Severity = "note"    // good to know
)

var severities = []Severity{Error, Warning, Note}

// topics in the order in which they are told. The id of a finding begins with its topic.
var topics = []string{
	"module", "stack", "sshd", "daemon", "unit", "socket", "config", "store", "key", "clock",
	"selinux", "apparmor", "people", "setup",
}

// Finding is one thing that is the matter.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Topic    string   `json:"topic"`
	Text     string   `json:"text"`            // what is the matter
	Place    string   `json:"place,omitempty"` // FILE, FILE:LINE or a unit
	Remedy   string   `json:"remedy"`          // a command wherever there is one
}

// Line is something that was looked at and is fine, or that could not be looked at.
type Line struct {
	Topic string `json:"topic"`
	Text  string `json:"text"`
}

// Report is everything that was found.
type Report struct {
	Findings []Finding `json:"findings"`
	Fine     []Line    `json:"fine"`
	Unseen   []Line    `json:"unseen"`
	Facts    Facts     `json:"facts"`
}

// Count returns how many findings are of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// found adds a finding, once. Its id stands in Kinds, with the severity.
func (x *exam) found(id, place, remedy, format string, args ...any) {
	at := slices.IndexFunc(Kinds, func(k Kind) bool { return k.ID == id })
	f := Finding{
		ID: id, Severity: Kinds[at].Severity, Topic: topicOf(id),
		Text: fmt.Sprintf(format, args...), Place: place, Remedy: remedy,
	}
	if !slices.Contains(x.report.Findings, f) {
		x.report.Findings = append(x.report.Findings, f)
	}
}

func topicOf(id string) string {
	topic, _, _ := strings.Cut(id, "-")
	return topic
}

// fine adds a line about a topic of which nothing bad was found; otherwise it does nothing.
func (x *exam) fine(topic, format string, args ...any) {
	for _, f := range x.report.Findings {
		if f.Topic == topic && f.Severity != Note {
			return
		}
	}
	x.report.Fine = append(x.report.Fine, Line{topic, fmt.Sprintf(format, args...)})
}

// unseen adds a line about what could not be looked at.
func (x *exam) unseen(topic, format string, args ...any) {
	x.report.Unseen = append(x.report.Unseen, Line{topic, fmt.Sprintf(format, args...)})
}

// few names some of many.
func few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
