package host

// turnOn turns the second factor on for ssh, the console, su and sudo, as the README says to do by hand.
func (s *site) turnOn() {
	s.t.Helper()
	s.script(`
		sed -i '/^@include common-auth/a auth required pam_totpd.so' /etc/pam.d/sshd /etc/pam.d/login /etc/pam.d/su /etc/pam.d/sudo
		printf 'UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n' >/etc/ssh/sshd_config.d/totpd.conf
		systemctl reload ssh`)
}
