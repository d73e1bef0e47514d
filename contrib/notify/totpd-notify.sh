#!/bin/sh
# totpd-notify.sh - shows in a desktop session what totpctl events tells: that a login of yours was refused,
# that your second factor was set up, locked or taken away. It ends with the system bus.
set -eu

totpctl events | while IFS= read -r line; do
	case $line in
	*': login refused: '*) urgency=normal ;;
	*) urgency=critical ;;
	esac
	# A body may be markup, and parts of a line were chosen by whoever tried to log in.
	line=$(printf '%s' "$line" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g')
	notify-send --app-name=totpd --icon=dialog-password --urgency="$urgency" -- "Second factor" "$line" || true
done
# Without this a pipe that ends looks like success, and systemd would not start it again.
exit 1
