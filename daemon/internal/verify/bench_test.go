package verify

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// busy is an account as it is after years: all sources, all used steps, ten recovery codes.
func busy() account.Account {
	acc := carol()
	for len(acc.Recovery) < 10 {
		acc.Recovery = append(acc.Recovery, account.Recovery{Hash: hash("", string(rune('a'+len(acc.Recovery))))})
	}
	for i := range account.UsedMax {
		acc.Devices[0] = Use(acc.Devices[0], int64(i), noon)
	}
	for i := range account.SourcesMax {
		acc = throttle.Know(acc, "2001:db8:"+string(rune('a'+i))+"::/64", noon)
	}
	return acc
}

// BenchmarkAnswer is the judgement alone, and BenchmarkRecord what its account costs to read and write.
func BenchmarkAnswer(b *testing.B) {
	acc := busy()
	right, _ := codeAt(phone(), seed, stepAt(phone(), noon))
	for name, typed := range map[string]string{"right": right, "wrong": "000000", "recovery": first} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				judge(open, 1).Answer(acc, typed, Login{Source: "2001:db8:a::/64"}, noon.Add(time.Second))
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	for name, acc := range map[string]account.Account{"new": alice(), "busy": busy()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				record, err := json.Marshal(acc)
				var read account.Account
				if err != nil || json.Unmarshal(record, &read) != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(record)), "bytes")
			}
		})
	}
}
