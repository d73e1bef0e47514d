package doctor

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// moduleName is the file of the PAM module.
const moduleName = "pam_totpd.so"

// Module is the PAM module as it is installed.
type Module struct {
	File
	Machine string `json:"machine"` // the processor that it is for
	Loads   bool   `json:"loads"`
}

// moduleDirs are where distributions have libpam look for modules.
var moduleDirs = []string{
	"/usr/lib/*-linux-gnu*/security", "/usr/lib64/security", "/usr/lib/security",
	"/lib/*-linux-gnu*/security", "/lib64/security", "/lib/security",
}

// moduleDir is where libpam of this machine's architecture looks: where its own modules are.
func (x *exam) moduleDir() string {
	for _, pattern := range moduleDirs {
		found, _ := filepath.Glob(x.path(path.Join(pattern, "pam_permit.so")))
		for _, f := range found {
			if m, err := machine(f); err == nil && m == native() {
				return path.Dir("/" + strings.TrimPrefix(strings.TrimPrefix(f, filepath.Clean("/"+x.Root)), "/"))
			}
		}
	}
	return ""
}

// lookModule looks for the module and tries whether it can be loaded.
func (x *exam) lookModule() {
	dir := x.moduleDir()
	if dir == "" {
		x.unseen("module", "no directory of PAM modules was found below /usr/lib and /lib")
		return
	}
	name := path.Join(dir, moduleName)
	f, err := x.follow(name)
	switch {
	case missing(err):
		return // lookStacks tells who needs it
	case err != nil:
		x.unseen("module", "%s can't be looked at: %v", name, cause(err))
		return
	}
	x.module = name
	m := &Module{File: *f}
	x.report.Facts.Module = m
	x.judgeModuleFile(f)
	m.Machine, err = machine(x.path(name))
	switch {
	case hidden(err):
		x.unseen("module", "%s can't be read", name)
		return
	case err != nil:
		x.found("module-broken", name, x.reinstall(), "%s is no PAM module, so every login that needs it fails: %v", name, err)
		return
	case m.Machine != native():
		x.found("module-machine", name, x.reinstall(),
			"%s is for %s and this machine is %s, so every login that needs it fails", name, m.Machine, native())
		return
	}
	if err := x.Load(x.ctx, x.path(name)); err != nil {
		x.found("module-broken", name, x.reinstall(), "%s can't be loaded, so every login that needs it fails: %v", name, err)
		return
	}
	m.Loads = true
	if x.foreignModule(name) {
		return
	}
	x.fine("module", "%s can be loaded", name)
}

// foreignModule tells of another file in the place of our module.
func (x *exam) foreignModule(name string) bool {
	if x.Ours == nil || x.Ours(x.path(name)) {
		return false
	}
	x.found("module-foreign", name, x.reinstall(), "%s is not totpd's module: logins that need it may go without a code", name)
	return true
}

// IsModule tells whether a file is our module: Go writes into it which package it was built from.
func IsModule(path string) bool {
	info, err := buildinfo.ReadFile(path)
	return err == nil && info.Path == "github.com/totpd/totpd/pam"
}

func (x *exam) judgeModuleFile(f *File) {
	if f.perm()&0o022 != 0 || f.uid != x.RootUID {
		x.found("module-owner", f.Path, "chown root:root "+f.Path+" && chmod 0644 "+f.Path,
			"%s belongs to uid %s and has mode %s: others than root can change what runs in every login", f.Path, f.Owner, f.Mode)
	} else if f.perm()&0o004 == 0 {
		x.found("module-unreadable", f.Path, "chmod 0644 "+f.Path,
			"the mode of %s is %s: programs that don't run as root, such as screen lockers, can't load it", f.Path, f.Mode)
	}
}

// machine names the processor that an ELF shared object is for, as uname -m does.
func machine(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if f.Type != elf.ET_DYN {
		return "", fmt.Errorf("not a shared object")
	}
	for arch, name := range machines {
		if of := elfMachines[arch]; f.Machine == of && f.Class == elf.ELFCLASS64 {
			return name, nil
		}
	}
	return strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_")), nil
}

var (
	machines    = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}
	elfMachines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
)

// native is the machine that this command was built for; module and command come in one package.
func native() string { return machines[runtime.GOARCH] }
