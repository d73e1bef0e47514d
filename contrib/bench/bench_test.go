package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// The second run, in its namespaces, is this test program again.
func TestMain(m *testing.M) {
	if inside() {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestQuick goes through every measurement with small counts.
func TestQuick(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces and users of its own")
	}
	for _, built := range []string{"../../build/totpd", "../../build/pam_totpd.so"} {
		if _, err := os.Stat(built); err != nil {
			t.Skipf("needs %s: run 'make build'", built)
		}
	}
	old := os.Args
	os.Args = []string{old[0], "-quick", "-top", "../.."} // the second run's too
	defer func() { os.Args = old }()
	o, err := parse(os.Args[1:])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(o, &out); err != nil {
		t.Fatal(err)
	}
	for _, l := range limits {
		kind := "ratio "
		if l.unit != "" {
			kind = "value "
		}
		if !strings.Contains(out.String(), "\n"+kind+l.name+" ") {
			t.Errorf("no line for %s in:\n%s", l.name, out.String())
		}
	}
}

func TestLimits(t *testing.T) {
	r := &report{figures: map[string]float64{}}
	if got := r.missed(); len(got) != len(limits) {
		t.Errorf("figures not measured count as met: only %v are missed", got)
	}
	for _, l := range limits {
		r.value(l.name, l.value)
	}
	if got := r.missed(); len(got) > 0 {
		t.Errorf("at the limit, yet missed: %v", got)
	}
	r.value("concurrent_64_vs_ga", 14.9)
	r.value("dormant_vs_permit", 1.51)
	if got := strings.Join(r.missed(), " "); got != "concurrent_64_vs_ga dormant_vs_permit" {
		t.Errorf("missed: %q", got)
	}
}

func TestQuantile(t *testing.T) {
	values := []time.Duration{5, 1, 4, 2, 3}
	if got := median(values); got != 3 {
		t.Errorf("median %d, want 3", got)
	}
	if got := quantile(values, 0.9); got != 5 {
		t.Errorf("90th percentile %d, want 5", got)
	}
}

func TestTakeUsesNoCodeTwice(t *testing.T) {
	p, err := newPeople(2, million)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 4 { // two good codes each at the least, at the end of a step
		u, code, err := p.take()
		if err != nil {
			t.Fatal(err)
		}
		if seen[u.name+code] {
			t.Errorf("%s has the code %s twice", u.name, code)
		}
		seen[u.name+code] = true
	}
}
