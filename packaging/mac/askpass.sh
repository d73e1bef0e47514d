#!/bin/sh
# What ssh asks in the story: $WHO's password, then a code.
case $1 in
*assword*) echo "pw-$WHO" ;;
*) oathtool --totp --base32 "$SECRET" ;;
esac
