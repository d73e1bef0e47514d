#!/bin/sh
# What ssh asks in the story: $WHO's password, then a code, or both together.
case $1 in
*assword*code*) echo "pw-$WHO$(oathtool --totp --base32 "$SECRET")" ;;
*assword*) echo "pw-$WHO" ;;
*) oathtool --totp --base32 "$SECRET" ;;
esac
