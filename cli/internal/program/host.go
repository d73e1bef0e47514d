package program

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// host is the root directory of the host that is looked at.
type host string

// firstPerson is the lowest uid that a person has.
const firstPerson = 1000

// sizeMax is the most that is read of a file, in bytes.
const sizeMax = 1 << 20

// read returns the text of a file of the host's; empty where it can't be read.
func (h host) read(name string) string {
	f, err := os.Open(h.path(name))
	if err != nil {
		return ""
	}
	defer f.Close()
	text := make([]byte, 0, 4096)
	for len(text) < sizeMax {
		if len(text) == cap(text) {
			text = slices.Grow(text, len(text))
		}
		n, err := f.Read(text[len(text):cap(text)])
		if text = text[:len(text)+n]; err != nil {
			break
		}
	}
	return string(text)
}

// users calls yield with the name and uid of each user of /etc/passwd.
func (h host) users(yield func(name string, uid uint64) bool) {
	for line := range strings.Lines(h.read("/etc/passwd")) {
		f := strings.Split(line, ":")
		if len(f) < 3 {
			continue
		}
		if uid, err := strconv.ParseUint(f[2], 10, 32); err == nil && !yield(f[0], uid) {
			return
		}
	}
}

func (h host) userName(of uint64) string {
	for name, uid := range h.users {
		if uid == of {
			return name
		}
	}
	return ""
}

// firstUser is the first of these names that the host has.
func (h host) firstUser(names []string) string {
	for _, wanted := range names {
		for name := range h.users {
			if name == wanted {
				return name
			}
		}
	}
	return ""
}

// unitDirs are where systemd looks for units, the most important first.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unit returns the settings below [Service] of a unit and its drop-ins, by key, in order.
func (h host) unit(name string) (map[string][]string, bool) {
	var files []string
	for _, dir := range unitDirs {
		if file := filepath.Join(dir, name); h.read(file) != "" {
			files = append(files, file)
			break
		}
	}
	if files == nil {
		return nil, false
	}
	byName := map[string]string{} // of equal names the most important counts
	for _, dir := range slices.Backward(unitDirs) {
		more, _ := filepath.Glob(h.path(filepath.Join(dir, name+".d", "*.conf")))
		for _, here := range more {
			byName[filepath.Base(here)] = filepath.Join(dir, name+".d", filepath.Base(here))
		}
	}
	var names []string
	for base := range byName {
		names = append(names, base)
	}
	slices.Sort(names)
	for _, base := range names {
		files = append(files, byName[base])
	}
	settings := map[string][]string{}
	for _, file := range files {
		addSettings(settings, h.read(file))
	}
	return settings, true
}

func addSettings(settings map[string][]string, text string) {
	inService := false
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inService = line == "[Service]"
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if inService && found && line[0] != '#' && line[0] != ';' {
			key = strings.TrimSpace(key)
			settings[key] = append(settings[key], strings.TrimSpace(value))
		}
	}
}

// sizeOf reads a limit in bytes: 512M, 268435456, 2G:infinity, 100 MB. limited is false without one.
func sizeOf(text string) (bytes uint64, limited bool) {
	soft, _, _ := strings.Cut(text, ":")
	soft = strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(soft), " ", ""))
	soft = strings.TrimSuffix(strings.TrimSuffix(soft, "B"), "I")
	shift := 0
	if soft != "" {
		if i := strings.IndexByte("KMGT", soft[len(soft)-1]); i >= 0 {
			shift = 10 * (i + 1)
			soft = soft[:len(soft)-1]
		}
	}
	n, err := strconv.ParseUint(soft, 10, 64)
	if err != nil || n == 0 || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}

// process is one that runs.
type process struct {
	pid   int
	uids  [3]uint64 // real, effective, saved
	space uint64    // limit of the address space, bytes; 0: none
}

// root tells whether the process is root, or can become root again.
func (p process) root() bool { return slices.Contains(p.uids[:], 0) }

func (p process) uid() uint64 { return p.uids[1] }

// processes are those that run a program of one of these names.
func (h host) processes(names []string) []process {
	dirs, _ := filepath.Glob(h.path("/proc/[1-9]*"))
	ours, _ := os.Readlink(h.path("/proc/self/ns/pid"))
	var all []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil || !slices.Contains(names, strings.TrimSuffix(filepath.Base(exe), " (deleted)")) {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(dir, "ns/pid")); err == nil && ours != "" && ns != ours {
			continue // of a container
		}
		if p, known := h.process(pid); known {
			all = append(all, p)
		}
	}
	return all
}

func (h host) process(pid int) (p process, known bool) {
	p.pid = pid
	dir := "/proc/" + strconv.Itoa(pid)
	for line := range strings.Lines(h.read(dir + "/status")) {
		if f := strings.Fields(line); len(f) == 5 && f[0] == "Uid:" {
			known = true
			for i := range p.uids {
				uid, err := strconv.ParseUint(f[i+1], 10, 32)
				known = known && err == nil
				p.uids[i] = uid
			}
		}
	}
	for line := range strings.Lines(h.read(dir + "/limits")) {
		if value, found := strings.CutPrefix(line, "Max address space"); found {
			if f := strings.Fields(value); len(f) > 0 {
				p.space, _ = sizeOf(f[0])
			}
		}
	}
	return p, known
}
