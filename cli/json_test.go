package main

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

// Every field that --json prints is named in the help of its verb, or in that of the verb it refers to, and is
// spelled like all others.
func TestHelpNamesTheFieldsOfJSON(t *testing.T) {
	doctors := []string{"addresses", "enrols", "by_network", "no_groups"} // of a policy, which no verb but doctor asks for
	root := newRoot(&command{out: os.Stdout, err: os.Stderr})
	for verb, printed := range map[string]any{
		"status": control.Account{}, "show": control.Shown{}, "reset": control.Account{}, "adopt": control.Account{}, "unlock": control.Unlocked{},
		"devices": []control.Device{}, "devices rename": control.Account{}, "devices remove": control.Account{},
		"enrol": struct {
			Line control.Enrolment
			Then control.Confirmation
		}{},
		"recovery-codes new": control.RecoveryCodes{}, "remembered": control.Remembered{}, "forget": control.Remembered{},
		"log": control.LogEntry{}, "policy explain": control.Policy{}, "bypass": struct {
			Made  control.BypassCode
			Ended control.Revoked
		}{},
		"export": control.Export{}, "import": importReport{}, "setup": report{}, "version": versions{},
		"backup": control.BackupReport{}, "restore": control.RestoreReport{}, "accept-loss": control.LossReport{},
	} {
		cmd, _, err := root.Find(strings.Fields(verb))
		if err != nil {
			t.Fatal(err)
		}
		help := cmd.Long
		for _, other := range regexp.MustCompile(`(status|remembered|policy\s+explain|log)\s+--json`).FindAllStringSubmatch(cmd.Long, -1) {
			if also, _, err := root.Find(strings.Fields(other[1])); err == nil {
				help += also.Long
			}
		}
		words := regexp.MustCompile(`[a-z_]+`).FindAllString(help, -1)
		for _, field := range fields(reflect.TypeOf(printed)) {
			if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(field) {
				t.Errorf("%s --json: the field %s", verb, field)
			}
			if !slices.Contains(words, field) && !slices.Contains(doctors, field) {
				t.Errorf("help of %s: no word about the field %s of --json", verb, field)
			}
		}
	}
}

// fields are the names of all fields below t.
func fields(t reflect.Type) (all []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fields(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	if t == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" {
			all = append(all, name)
		}
		all = append(all, fields(t.Field(i).Type)...)
	}
	return all
}
