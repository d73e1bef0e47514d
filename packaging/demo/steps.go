package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/totpd/totpd/packaging/world"
)

// patience is how long a program may take to show what is expected. All of them answer in well under a
// second; a loaded machine may be slow.
const patience = 15 * time.Second

// site is where the story happens: who, and how to log in there.
type site struct {
	*story
	terms   *world.Terminals
	user    world.Person
	phone   *world.Phone
	photos  string        // folder for pictures of the screen
	login   []string      // the command that logs the user in, in a terminal
	welcome string        // what it shows then; otherwise it ends with a status that isn't 0
	log     func() string // what the daemon has decided so far
	codes   []string      // recovery codes, as the person has written them down
}

// answer is what a person types when a prompt appears.
type answer struct{ prompt, text string }

func (s *site) password() answer        { return answer{`Password: ?$`, s.user.Password} }
func (s *site) code(text string) answer { return answer{`One-time code: ?$`, text} }

// talk opens a terminal with a command, and answers its prompts in order.
func (s *site) talk(command []string, answers ...answer) (*world.Terminal, error) {
	s.terminals++
	t, err := s.terms.Open(fmt.Sprintf("terminal %d", s.terminals), command...)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		screen, err := t.Wait(a.prompt, patience)
		if err != nil {
			return nil, err
		}
		if err := t.Type(a.text); err != nil {
			return nil, err
		}
		if a.text != "" && strings.Contains(screen, a.text) {
			return nil, fmt.Errorf("the screen shows a secret that was typed")
		}
	}
	return t, nil
}

// accepted logs in with exactly these answers: one prompt less or more is a failure.
func (s *site) accepted(answers ...answer) error {
	t, err := s.talk(s.login, answers...)
	if err != nil {
		return err
	}
	if _, err := t.Wait(s.welcome, patience); err != nil {
		return fmt.Errorf("not logged in: %w", err)
	}
	return t.Close()
}

// refused tries to log in, and wants to be refused after these answers, for the reason that the
// daemon's log must give. sshd itself tells its client no reason.
func (s *site) refused(reason string, answers ...answer) error {
	seen := len(s.log())
	t, err := s.talk(s.login, answers...)
	if err != nil {
		return err
	}
	status, err := t.End(patience)
	if err != nil {
		return err
	}
	log := s.log()[seen:]
	switch {
	case status == 0 || regexp.MustCompile(s.welcome).MatchString(t.Screen()):
		return fmt.Errorf("was let in")
	case !strings.Contains(log, "result=refused reason="+reason+" "):
		return fmt.Errorf("was refused, but not with the reason %s:\n%s", reason, log)
	}
	return t.Close()
}

// scan takes the phone to the terminal's screen. A dark terminal is the harder one: there a code drawn
// in the terminal's own colours would be inside out.
func (s *site) scan(t *world.Terminal) error {
	if _, err := t.Wait(`Code shown by the app: ?$`, patience); err != nil {
		return err
	}
	uri, err := t.ReadQR(world.Dark, s.photos+"/dark.png")
	if err != nil {
		return err
	}
	if again, err := t.ReadQR(world.Light, s.photos+"/light.png"); err != nil || again != uri {
		return fmt.Errorf("a phone can't read it on a light terminal: %w", err)
	}
	s.phone, err = world.NewPhone(uri)
	return err
}

// confirm types the phone's first code.
func (s *site) confirm(t *world.Terminal) error {
	code, err := s.phone.Code()
	if err != nil {
		return err
	}
	if err := t.Type(code); err != nil {
		return err
	}
	if _, err = t.Wait(`Done: .* is now the second factor`, patience); err != nil {
		return err
	}
	return s.noteCodes(t)
}

var (
	recoveryCode = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b`)
	tenCodes     = `(?s)(\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b.*?){10}`
)

// noteCodes copies the recovery codes from the screen, as a person does with a pencil.
func (s *site) noteCodes(t *world.Terminal) error {
	screen, err := t.Wait(tenCodes, patience)
	if err != nil {
		return err
	}
	s.codes = recoveryCode.FindAllString(screen, -1)
	return nil
}

// withCode is the part of the story that makes the second factor worth having.
func (s *site) withCode() {
	var spent string
	s.step("logs in with the password and, when asked, the code that the phone shows", func() (err error) {
		if spent, err = s.phone.Code(); err != nil {
			return err
		}
		return s.accepted(s.password(), s.code(spent))
	})
	s.step("is refused with a wrong code", func() error {
		wrong, err := s.phone.WrongCode()
		if err != nil {
			return err
		}
		return s.refused("wrong_code", s.password(), s.code(wrong))
	})
	s.step("is refused with the code that let "+s.user.Name+" in a moment ago: a code works once", func() error {
		return s.refused("used_code", s.password(), s.code(spent))
	})
	s.step("is refused without a code", func() error {
		return s.refused("malformed", s.password(), s.code(""))
	})
}

// withoutPhone is what the recovery codes are for. A person types one without its hyphens, and in small
// letters.
func (s *site) withoutPhone() {
	s.step("loses the phone: a recovery code lets "+s.user.Name+" in where a code is asked for", func() error {
		t, err := s.talk(s.login, s.password(), s.code(strings.ToLower(strings.ReplaceAll(s.codes[0], "-", ""))))
		if err != nil {
			return err
		}
		for _, shown := range []string{`9 recovery codes are left`, s.welcome} {
			if _, err := t.Wait(shown, patience); err != nil {
				return fmt.Errorf("not logged in by a recovery code: %w", err)
			}
		}
		return t.Close()
	})
	s.step("is refused with the same one again: each lets in once", func() error {
		return s.refused("wrong_recovery_code", s.password(), s.code(s.codes[0]))
	})
}

// mustEnrol is the first login of somebody whom a rule requires to have a second factor.
func (s *site) mustEnrol() {
	const (
		choice = `your choice: ?$`
		first  = `code shown by the app: ?$`
		noted  = `press Enter once you have written them down: ?$`
	)
	var t *world.Terminal
	s.step(s.user.Name+", whom a rule requires to have a second factor, logs in by ssh for the first time", func() (err error) {
		t, err = s.talk(s.login, s.password())
		if err != nil {
			return err
		}
		screen, err := t.Wait(choice, patience)
		if err != nil {
			return err
		}
		dark := regexp.MustCompile(`(\d+) shows a QR code, if the background of this window is dark`).FindStringSubmatch(screen)
		if dark == nil {
			return fmt.Errorf("no QR code is offered")
		}
		return t.Type(dark[1])
	})
	s.step("a QR reader reads the code off the ssh client's own screen", func() error {
		if _, err := t.Wait(first, patience); err != nil {
			return err
		}
		uri, err := t.ReadQR(world.Dark, s.photos+"/login.png")
		if err != nil {
			return err
		}
		s.phone, err = world.NewPhone(uri)
		return err
	})
	s.step("types the phone's code, writes ten recovery codes down, and is in: all within this one login", func() error {
		code, err := s.phone.Code()
		if err != nil {
			return err
		}
		if err := t.Type(code); err != nil {
			return err
		}
		if _, err := t.Wait(noted, patience); err != nil {
			return err
		}
		if err := s.noteCodes(t); err != nil {
			return err
		}
		if err := t.Type(""); err != nil {
			return err
		}
		if _, err := t.Wait(s.welcome, patience); err != nil {
			return fmt.Errorf("not logged in: %w", err)
		}
		return t.Close()
	})
	s.step("logs in again, with the password and the next code", func() error {
		code, err := s.phone.Code()
		if err != nil {
			return err
		}
		return s.accepted(s.password(), s.code(code))
	})
}
