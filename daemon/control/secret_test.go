package control

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Whatever prints a type that holds a password, a code or a secret, the secret isn't in it.
func TestSecretsPrintAsRedacted(t *testing.T) {
	const secret = "JBSWY3DPEHPK3PXP"
	for _, v := range []any{
		Secret(secret),
		EnrolRequest{Password: secret},
		&EnrolRequest{Password: secret},
		Enrolment{URI: secret, Secret: secret},
		ConfirmRequest{Code: secret},
		SetRequest{URI: secret},
		DisableRequest{Password: secret, Code: secret},
		Enrolment{RecoveryCodes: []Secret{secret}},
		EnrolRequest{Code: secret},
		Confirmation{RecoveryCodes: []Secret{secret}},
		RemoveRequest{Password: secret, Code: secret},
		RecoveryCodesRequest{Password: secret, Code: secret},
		RecoveryCodes{Codes: []Secret{secret}},
		BypassCode{Code: secret},
		ExportRequest{Code: secret},
		Export{Devices: []ExportedDevice{{URI: secret}}},
		[]Secret{secret},
		ImportRequest{Users: []ImportUser{{Devices: []ImportDevice{{Secret: secret}}, Recovery: []Secret{secret}}}},
		map[string]Secret{"a": secret},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c"} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, secret) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of a %T prints the secret: %s", verb, v, got)
			}
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		if strings.Contains(log.String(), secret) {
			t.Errorf("logging a %T prints the secret: %s", v, log.String())
		}
	}
}
