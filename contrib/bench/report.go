package main

import (
	"cmp"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// limit is what a figure is held to.
type limit struct {
	name  string
	value float64
	least bool // the figure must be at least the value; else at most
	unit  string
}

// limits are all figures, in the order of the report. Those without a unit are ratios.
var limits = []limit{
	{name: "login_same_process_vs_ga", value: 0.12},
	{name: "login_new_process_vs_ga", value: 1.0},
	{name: "login_100k_users_vs_oath", value: 0.02},
	{name: "growth_1_to_1m_users", value: 1.3},
	{name: "durable_vs_fdatasync", value: 3.0},
	{name: "concurrent_64_vs_ga", value: 15, least: true},
	{name: "unasked_vs_permit", value: 3.0},
	{name: "dormant_vs_permit", value: 1.5},
	{name: "resident_mb_100k_users", value: 40, unit: "MB"},
	{name: "ready_ms_1m_users", value: 100, unit: "ms"},
}

func (l limit) met(v float64) bool {
	if l.least {
		return v >= l.value
	}
	return v <= l.value
}

// report is the result.
type report struct {
	table   strings.Builder
	figures map[string]float64
}

func newReport(b *bench) *report {
	r := &report{figures: map[string]float64{}}
	fmt.Fprintf(&r.table, "%d users log in; state on %s\n", b.loggingIn, fileSystem(b.dir))
	if b.log == "none" {
		r.table.WriteString("no /dev/log: what modules log goes to /dev/console\n")
	}
	r.table.WriteByte('\n')
	fmt.Fprintf(&r.table, "%-38s %-11s %5s %10s %10s %10s\n", "", "", "n", "median", "10th %", "90th %")
	return r
}

func fileSystem(dir string) string {
	out, err := exec.Command("findmnt", "-no", "FSTYPE,OPTIONS", "-T", dir).Output()
	if err != nil {
		return "an unknown file system"
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func (r *report) times(part string, t map[string][]time.Duration) {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		ms := func(q float64) float64 { return float64(quantile(t[name], q)) / 1e6 }
		fmt.Fprintf(&r.table, "%-38s %-11s %5d %7.3f ms %7.3f ms %7.3f ms\n", part, name, len(t[name]), ms(0.5), ms(0.1), ms(0.9))
	}
}

func (r *report) rates(part string, t map[string][]float64) {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		rate := func(q float64) float64 { return quantile(t[name], q) }
		fmt.Fprintf(&r.table, "%-38s %-11s %5d %8.0f/s %8.0f/s %8.0f/s\n", part, name, len(t[name]), rate(0.5), rate(0.1), rate(0.9))
	}
}

func (r *report) ratio(name string, a, b float64) { r.value(name, a/b) }

func (r *report) value(name string, v float64) { r.figures[name] = v }

// missed are the names of the figures beyond their limits, or not measured.
func (r *report) missed() []string {
	var names []string
	for _, l := range limits {
		if v, ok := r.figures[l.name]; !ok || !l.met(v) {
			names = append(names, l.name)
		}
	}
	return names
}

// String is the table, what each figure should be, and the lines for programs.
func (r *report) String() string {
	var b strings.Builder
	b.WriteString(r.table.String() + "\n")
	for _, l := range limits {
		if _, ok := r.figures[l.name]; !ok {
			continue
		}
		word, verdict := "at most", "met"
		if l.least {
			word = "at least"
		}
		if !l.met(r.figures[l.name]) {
			verdict = "MISSED"
		}
		fmt.Fprintf(&b, "%-26s %9.3f %-2s  %-8s %6g  %s\n", l.name, r.figures[l.name], l.unit, word, l.value, verdict)
	}
	b.WriteByte('\n')
	for _, l := range limits {
		if _, ok := r.figures[l.name]; !ok {
			continue
		}
		kind := "ratio"
		if l.unit != "" {
			kind = "value"
		}
		fmt.Fprintf(&b, "%s %s %.3f\n", kind, l.name, r.figures[l.name])
	}
	return b.String()
}

func median[T cmp.Ordered](values []T) T { return quantile(values, 0.5) }

// quantile returns the value below which the given part of the values lies.
func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
